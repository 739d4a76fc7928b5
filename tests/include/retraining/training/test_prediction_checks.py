"""What is no prediction never becomes a version."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from include.retraining.exceptions import TrainingError
from include.retraining.registry.versions import find_version
from include.retraining.training.prediction_checks import check_answers_differ, check_predictions
from include.retraining.training.predictions import Predictions
from tests.support.toy_models import Toy, make_frame, model_file

MakeToy = Callable[..., Toy]
WRONG_MODEL = """
class Wrong(LogisticRegression):
    def predict_proba(self, rows):
        chances = super().predict_proba(rows)
        {change}
        return chances
    def predict(self, rows):
        values = super().predict(rows)
        {values}
        return values
"""
WRONG = {
    "NaN": ("chances[::7] = np.nan", "", "no numbers from 0 to 1"),
    "percent": ("chances *= 100", "", "no numbers from 0 to 1"),
    "negative": ("chances[:, 0] -= 1; chances[:, 1] += 1", "", "no numbers from 0 to 1"),
    "not adding up": ("chances *= 0.9", "", "do not add up to 1"),
    "an unknown class": ("", "values[:3] = 7", "of 3 of 275 rows are none of the classes"),
    "one answer": ("chances[:] = [0.4, 0.6]", "", "one and the same answer for 275 rows"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_predictions_never_become_a_version(make_toy: MakeToy, name: str):
    """The training fails with a count of rows and a rule, and nothing is published."""
    change, values, says = WRONG[name]
    toy = make_toy("binary")
    wrong = WRONG_MODEL.format(change=change or "pass", values=values or "pass")
    toy.write_model(model_file("binary", "Wrong()", more=wrong))
    job = toy.plan()
    with pytest.raises(TrainingError, match=says):
        toy.train(job)
    assert find_version(toy.store, toy.name, job.manifest.version) is None


@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression"])
def test_one_answer_for_everybody_is_no_model(make_toy: MakeToy, problem: str):
    """A dummy of each problem is refused: it learnt nothing."""
    dummy = "DummyRegressor()" if problem == "regression" else "DummyClassifier()"
    more = "from sklearn.dummy import DummyRegressor"
    toy = make_toy(problem)
    toy.write_model(model_file(problem, dummy, more=more))
    with pytest.raises(TrainingError, match="one and the same answer"):
        toy.train(toy.plan())


def test_one_class_for_everybody_may_be_honest(make_toy: MakeToy):
    """A model that predicts one class with probabilities that differ is a version."""
    toy = make_toy("binary")
    frame = make_frame("binary")
    toy.deliver(frame.assign(y=(frame["a"] > 2).astype(int)))
    toy.write_model(model_file("binary", "LogisticRegression(C=1e-6)"))
    toy.train(toy.plan())


def test_rows_that_are_alike_may_have_one_answer():
    """One answer is no fault of a model when the rows do not differ, or are one."""
    rows = pd.DataFrame({"a": [1.0, 1.0, 2.0]})
    one = Predictions(np.array([5.0, 5.0, 5.0]), None, None)
    check_answers_differ(one, rows.iloc[:2], where="m")
    check_answers_differ(one, rows.iloc[:1], where="m")
    check_answers_differ(Predictions(one.values, None, (1, 5)), rows, where="m")
    with pytest.raises(TrainingError):
        check_answers_differ(one, rows, where="m")


def test_numbers_of_a_regression_are_finite():
    """Infinity and NaN are no numbers that a regression predicts; rounding is no fault."""
    for number in (np.nan, np.inf):
        with pytest.raises(TrainingError, match="1 of 2 rows are no finite numbers"):
            check_predictions(Predictions(np.array([1.0, number]), None, None), where="m",
                              classes=None)  # fmt: skip
    chances = np.array([[1.0000000000000002, -2e-17], [0.3, 0.7]])
    check_predictions(Predictions(np.array([0, 1]), chances, (0, 1)), where="m", classes=(0, 1))
