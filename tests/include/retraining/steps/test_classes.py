"""Labels that are written otherwise, new classes, and classes that are no longer delivered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.retraining.evaluation.metrics import METRICS, compute
from include.retraining.gate.report import EvaluationReport
from include.retraining.gate.rules import judge
from include.retraining.gate.tables import opponent_lines
from include.retraining.gate.verdict import Answer, Verdict
from include.retraining.training.predictions import Predictions, as_sample
from tests.include.retraining.gate.test_mutants import Mutant, load_copies
from tests.support.toy_models import Toy, make_frame, model_file

MakeToy = Callable[..., Toy]


def judged(toy: Toy, report: EvaluationReport) -> Verdict:
    """The gate's answer to a toy's report."""
    return judge(report, toy.config.gates, report_digest="d")


def serving(make_toy: MakeToy, problem: str, **changes: Any) -> Toy:
    """A toy with a champion that was trained on `make_frame`."""
    toy = make_toy(problem, **changes)
    toy.promote(*toy.run())
    return toy


@pytest.mark.fault("F19")
@pytest.mark.parametrize(
    "words",
    [
        {"low": "Low", "mid": "Mid", "high": "High"},  # another spelling
        {"low": "1", "mid": "2", "high": "3"},  # other names
        {"low": "low", "mid": "mid", "high": "upper"},  # one of them
    ],
    ids=["spelling", "names", "one"],
)
def test_a_champion_whose_classes_are_written_otherwise_cannot_be_judged(
    make_toy: MakeToy, words: dict[str, str]
):
    """Class names that the champion does not know never make it lose: nobody can judge."""
    toy = serving(make_toy, "multiclass")
    frame = make_frame("multiclass", seed=1)
    toy.deliver(frame.assign(y=frame["y"].map(words)))
    _, report = toy.run()
    assert report.champion is not None
    assert report.champion.scores is None
    new = len(set(words.values()) - set(words))
    assert f"it does not know {new} of the 3 classes" in str(report.champion.error)
    verdict = judged(toy, report)
    assert verdict.answer is Answer.CANNOT_JUDGE
    refusals = {gate.gate for gate in verdict.gates if gate.answer is Answer.CANNOT_JUDGE}
    assert refusals == {"against champion"}, "a person may pass the comparison over"


@pytest.mark.fault("F19")
def test_a_binary_champion_must_know_both_values(make_toy: MakeToy):
    """0 and 1 that become `no` and `yes` leave the champion without an answer, not with 0.5."""
    toy = serving(make_toy, "binary", gates={"metric": "roc_auc"})
    frame = make_frame("binary", seed=1)
    toy.deliver(frame.assign(y=frame["y"].map({0: "no", 1: "yes"})))
    toy.changes["data"] = {"positive": "yes"}
    toy.write_model(model_file("binary").replace("y: int", "y: str"))
    _, report = toy.run()
    assert "it does not know 2 of the 2 classes" in str(report.champion and report.champion.error)
    assert judged(toy, report).answer is Answer.CANNOT_JUDGE


def test_a_class_that_is_new_to_everybody_counts_against_everybody(make_toy: MakeToy):
    """A class with rows in the holdout only is an error of champion and challenger alike."""
    toy = serving(make_toy, "multiclass", data={"split": {"by": "time", "column": "day",
                                                          "holdout_days": 30}})  # fmt: skip
    frame = make_frame("multiclass", 440, seed=1)
    frame["day"] = (pd.to_datetime(frame["day"]) + pd.Timedelta(days=120)).dt.strftime("%Y-%m-%d")
    frame.loc[frame.index[-5:], "y"] = "unheard of"
    toy.deliver(frame)
    _, report = toy.run()
    assert report.champion is not None
    assert report.champion.error is None
    assert judged(toy, report).answer is not Answer.CANNOT_JUDGE


def test_a_class_that_is_no_longer_delivered_is_left_out(make_toy: MakeToy):
    """A champion that knows a class too many is compared on the classes that there are."""
    metrics = sorted(METRICS["multiclass"])
    rules = {"metric": "roc_auc_ovr", "report": metrics, "champion": {"margin": 0.5}}
    toy = serving(make_toy, "multiclass", gates=rules)
    frame = make_frame("multiclass", seed=1)
    toy.deliver(frame.assign(y=frame["y"].replace("mid", "low")))
    _, report = toy.run()
    assert report.holdout.left_out_classes == ("mid",)
    said = "1 class has no row in the holdout, and no part in anybody's scores."
    assert said in opponent_lines(report)
    assert report.champion is not None
    assert report.champion.scores is not None
    for scores in (report.challenger, report.champion.scores, report.baseline):
        assert None not in {scores.metrics[metric] for metric in metrics}
    assert judged(toy, report).answer is not Answer.CANNOT_JUDGE


def test_left_out_classes_have_no_part_in_a_score():
    """Probabilities are of the classes that are left; a prediction of another class is wrong."""
    predictions = Predictions(
        values=np.array(["a", "b", "c", "c"], dtype=object),
        probabilities=np.array([[0.6, 0.2, 0.2], [0.1, 0.3, 0.6], [0.2, 0.1, 0.7], [0, 0, 1.0]]),
        classes=("a", "b", "c"),
    )
    labels = np.array(["a", "b", "a", "b"], dtype=object)
    sample = as_sample(labels, predictions, problem="multiclass", positive=None, classes=("a", "b"))
    assert sample.values.tolist() == [0, 1, 2, 2]
    assert sample.probabilities is not None
    expected = [[0.75, 0.25], [0.25, 0.75], [2 / 3, 1 / 3], [0.5, 0.5]]
    np.testing.assert_allclose(sample.probabilities, expected)
    assert compute("accuracy", sample) == 0.5
    assert compute("f1_macro", sample) == pytest.approx(2 / 3)
    assert compute("roc_auc_ovr", sample) == 1.0
    only_one = replace(sample.take(np.array([0, 2])), probabilities=np.ones((2, 1)))
    assert compute("roc_auc_ovr", only_one) is None


def _covers(module: Any) -> None:
    """What a version must know to be compared, as the module's own functions say."""
    labels, train = np.array(["a", "b", "b", "z"]), np.array(["a", "b", "c"])
    holdout = SimpleNamespace(labels=labels, train_labels=train, rows=4, oldest=None)
    holdout.frame = pd.DataFrame({"x": [1]})
    for classes, is_fit in (
        (("a", "b"), True),
        (("a", "b", "d"), True),
        (("a", "d"), False),
        (None, False),
    ):
        split = SimpleNamespace(train_until=None, by="time")
        manifest = SimpleNamespace(
            features=("x",), problem="multiclass", classes=classes, split=split, rows_used=None
        )
        assert (module._unfit(manifest, holdout, "multiclass") is None) == is_fit, classes
    manifest.problem, holdout.labels = "regression", np.array([1.0, 2.0])
    assert module._unfit(manifest, holdout, "regression") is None


MUTANTS = (
    Mutant("the class check is skipped", "evaluation.contenders",
        "if unanswered is not None:", "if False:"),
    Mutant("a class is covered by any other", "evaluation.contenders", "if not unknown:",
        "if len(unknown) < 2:"),
    Mutant(
        "what nobody learnt must be known",
        "evaluation.contenders",
        "set(class_names(np.unique(holdout.train_labels))) & set(rows_of)",
        "set(rows_of)",
    ),
    Mutant(
        "what is no longer delivered must be known",
        "evaluation.contenders",
        "set(class_names(np.unique(holdout.train_labels))) & set(rows_of)",
        "set(class_names(np.unique(holdout.train_labels)))",
    ),
)  # fmt: skip


@pytest.mark.fault("F19")
@pytest.mark.parametrize("mutant", [None, *MUTANTS], ids=lambda mutant: mutant and mutant.name)
def test_a_check_of_classes_that_is_skipped_is_noticed(mutant: Mutant | None):
    """Each wrong check of an opponent's classes is noticed, and the right one is not."""
    module = load_copies(mutant, ("evaluation.contenders",))["evaluation.contenders"]
    if mutant is None:
        _covers(module)
    else:
        with pytest.raises((AssertionError, KeyError)):
            _covers(module)
