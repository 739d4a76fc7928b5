from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import get_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from include.retraining.config.model import MODELS_FOLDER, ModelConfig, load_model, parse_model
from include.retraining.evaluation.metrics import compute, why_undefined
from include.retraining.exceptions import ConfigError, TrainingError
from include.retraining.training.metric_needs import require_answers
from include.retraining.training.predictions import Sample, as_sample, predict


def config_of(metric: str, minimum: dict[str, float] | None = None) -> ModelConfig:
    """A binary model's configuration with a decision metric."""
    config = load_model("loan_approval")
    gates = config.gates.model_copy(update={"metric": metric, "minimum": minimum or {}})
    return config.model_copy(update={"gates": gates})


def test_what_a_metric_needs_is_asked_before_the_training() -> None:
    """A class without probabilities or an order is refused unfitted, with what to do."""
    for estimator in (LinearSVC(), make_pipeline(StandardScaler(), LinearSVC())):
        require_answers(config_of("roc_auc"), estimator, is_fitted=False)
        with pytest.raises(TrainingError, match=r"LinearSVC, which has no predict_proba.*log_loss"):
            require_answers(config_of("neg_log_loss"), estimator, is_fitted=False)
        with pytest.raises(TrainingError, match="CalibratedClassifierCV"):
            require_answers(
                config_of("accuracy", {"neg_brier_score": -1.0}), estimator, is_fitted=False
            )
        require_answers(config_of("accuracy"), estimator, is_fitted=False)
    require_answers(config_of("neg_log_loss"), CalibratedClassifierCV(), is_fitted=False)


def test_what_shows_after_the_fit_is_asked_then() -> None:
    """An estimator that lacks a method by its settings is refused when it is fitted."""
    rows, labels = np.arange(20.0)[:, None], np.arange(20) % 2
    with pytest.raises(TrainingError, match="needs it"):
        require_answers(config_of("neg_log_loss"), SVC().fit(rows, labels), is_fitted=True)


@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
@pytest.mark.parametrize("model", [LinearSVC(), RidgeClassifier(), LogisticRegression()])
def test_an_order_is_taken_where_scikit_learn_takes_it(model, name: str, positive: int) -> None:
    """Ranks by `decision_function` give the number of scikit-learn's scorer, for either class."""
    random = np.random.default_rng(0)
    rows = pd.DataFrame(random.normal(size=(200, 3)), columns=["a", "b", "c"])
    labels = (rows["a"] + random.normal(size=200) > 0.5).astype(int)
    model.fit(rows, labels)
    found = predict(model, rows, "binary")
    sample = as_sample(labels, found, problem="binary", positive=positive, classes=None)
    if positive == 1:
        assert compute(name, sample) == pytest.approx(get_scorer(name)(model, rows, labels))
    else:
        assert compute("roc_auc", sample) == pytest.approx(
            get_scorer("roc_auc")(model, rows, labels)
        )


@pytest.mark.parametrize(
    ("metric", "labels", "values", "reason"),
    [
        ("recall", [0] * 48, [0] * 48, "48 rows, 0 positive"),
        ("roc_auc", [0] * 48, [0] * 48, "48 rows, 0 positive"),
        ("balanced_accuracy", [1] * 3, [1] * 3, "3 rows, 3 positive"),
        ("f1", [0] * 4, [0] * 4, "4 rows, 0 positive"),
        ("f1", [0] * 4, [0, 0, 0, 1], "4 rows, 0 positive"),
        ("precision", [0] * 4, [0, 0, 0, 1], "4 rows, 0 positive"),
        ("precision", [0, 1], [0, 0], "none of 2 rows is predicted positive"),
        ("neg_log_loss", [0, 1], [0, 1], "the model gives no probabilities"),
    ],
)
def test_what_is_not_defined_is_no_number_and_says_why(
    metric: str, labels: list[int], values: list[int], reason: str
) -> None:
    """Undefined is never 0: there is no value, and the reason has the counts."""
    scores = None if metric == "neg_log_loss" else np.zeros(len(labels))
    sample = Sample("binary", np.array(labels), np.array(values), None, scores)
    assert compute(metric, sample) is None
    assert why_undefined(metric, sample) == reason


def test_a_flat_label_and_a_single_class_are_said() -> None:
    """Without a spread nothing is explained, and one class has no correlation."""
    flat = Sample("regression", np.ones(5), np.arange(5.0), None)
    one = Sample("multiclass", np.zeros(5, int), np.zeros(5, int), None)
    assert (compute("r2", flat), compute("matthews_corrcoef", one)) == (None, None)
    assert why_undefined("r2", flat) == "all 5 labels are the same"
    assert why_undefined("matthews_corrcoef", one) == "5 rows, all of one class"


@pytest.mark.parametrize("metric", ["recall", "precision"])
def test_a_metric_of_one_kind_of_error_cannot_decide(metric: str) -> None:
    """The YAML is refused with what to take; among the minimums it may stand."""
    text = (MODELS_FOLDER / "loan_approval.yaml").read_text(encoding="utf-8")
    decides = "\n".join(
        f"  metric: {metric}" if line.startswith("  metric:") else line
        for line in text.splitlines()
    )
    with pytest.raises(ConfigError, match=rf"gates\.metric: {metric} cannot decide.*balanced_acc"):
        parse_model(decides, where="x.yaml")
