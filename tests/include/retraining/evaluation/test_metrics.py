from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import get_scorer

from include.retraining.config import model as config
from include.retraining.data.labels import class_names, label_values
from include.retraining.evaluation import metrics
from include.retraining.training.predictions import as_sample, predict

ALL = [(problem, name) for problem, names in config.METRICS.items() for name in sorted(names)]


def fitted(problem: str):
    """A fitted estimator, rows it has not seen and their labels."""
    if problem == "regression":
        values, labels = make_regression(300, 5, noise=40, random_state=1)
        estimator = LinearRegression()
    else:
        values, labels = make_classification(
            300,
            6,
            n_informative=4,
            n_classes=2 if problem == "binary" else 3,
            flip_y=0.2,
            random_state=1,
        )
        estimator = LogisticRegression()
    rows = pd.DataFrame(values, columns=[f"f{number}" for number in range(values.shape[1])])
    return estimator.fit(rows[:200], labels[:200]), rows[200:], labels[200:]


@pytest.mark.parametrize("problem", list(config.METRICS))
def test_every_configurable_metric_is_implemented(problem: str):
    """What a model's YAML may name can be computed, and nothing else."""
    assert set(metrics.METRICS[problem]) == set(config.METRICS[problem])


@pytest.mark.parametrize(("problem", "name"), ALL)
def test_a_metric_equals_scikit_learns_scorer_of_that_name(problem: str, name: str):
    """A metric has the value and the sign of scikit-learn's scorer of the same name."""
    estimator, rows, labels = fitted(problem)
    classes = None if problem == "regression" else class_names(estimator.classes_)
    sample = as_sample(
        labels, predict(estimator, rows, problem), problem=problem, positive=1, classes=classes
    )
    expected = get_scorer(name)(estimator, rows, labels)
    assert metrics.compute(name, sample) == pytest.approx(expected, abs=1e-12)


def test_the_positive_class_may_be_a_word():
    """A binary label of words is scored for the class that the configuration calls positive."""
    estimator, rows, labels = fitted("binary")
    words = np.where(labels == 1, "approved", "refused")
    estimator.fit(rows, words)
    predictions = predict(estimator, rows, "binary")
    for positive, other in (("approved", "refused"), ("refused", "approved")):
        sample = as_sample(words, predictions, problem="binary", positive=positive, classes=None)
        assert sample.labels.sum() == (words == positive).sum()
        said_yes = predictions.values == positive
        assert metrics.compute("precision", sample) == np.mean(words[said_yes] == positive)
        assert metrics.compute("roc_auc", sample) > 0.6, other


class _NoProbabilities(ClassifierMixin, BaseEstimator):
    def fit(self, rows, labels):
        self.classes_ = np.unique(labels)
        return self

    def predict(self, rows):
        return np.resize(self.classes_, len(rows))


@pytest.mark.parametrize("name", ["roc_auc", "neg_log_loss", "neg_brier_score"])
def test_a_metric_of_probabilities_is_none_without_them(name: str):
    """A model without probabilities has no metric that needs them, and keeps the others."""
    _, rows, labels = fitted("binary")
    predictions = predict(_NoProbabilities().fit(rows, labels), rows, "binary")
    sample = as_sample(labels, predictions, problem="binary", positive=1, classes=None)
    assert metrics.compute(name, sample) is None
    assert metrics.compute("accuracy", sample) is not None


@pytest.mark.fault("F01")
def test_an_undefined_metric_is_none():
    """A metric that scikit-learn calls undefined is None, never NaN."""
    estimator, rows, labels = fitted("binary")
    predictions = predict(estimator, rows, "binary")
    only_yes = as_sample(
        np.ones_like(labels), predictions, problem="binary", positive=1, classes=None
    )
    assert metrics.compute("roc_auc", only_yes) is None


@pytest.mark.fault("F01")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_no_number_has_no_metric(bad: float):
    """One NaN or infinite prediction leaves a regression without a score."""
    estimator, rows, labels = fitted("regression")
    predictions = predict(estimator, rows, "regression")
    predictions.values[3] = bad
    sample = as_sample(labels, predictions, problem="regression", positive=None, classes=None)
    assert metrics.compute("r2", sample) is None
    assert metrics.compute("neg_mean_absolute_error", sample) is None


def test_a_class_that_the_model_never_saw_counts_as_a_mistake():
    """A holdout may hold a class that training did not: log loss and accuracy still count it."""
    estimator = RandomForestClassifier(5, random_state=1).fit([[0], [1], [0]], ["a", "b", "a"])
    labels = np.array(["a", "b", "c"], dtype=object)
    predictions = predict(estimator, pd.DataFrame([[0], [1], [1]]), "multiclass")
    sample = as_sample(
        labels, predictions, problem="multiclass", positive=None, classes=("a", "b", "c")
    )
    assert metrics.compute("accuracy", sample) == pytest.approx(2 / 3)
    assert metrics.compute("neg_log_loss", sample) < -10


@pytest.mark.parametrize(
    "column", [[1.0, 0.0], [True, False], pd.array([1, 0]), pd.array([True, False])]
)
def test_a_class_reads_the_same_however_the_file_wrote_it(column):
    """1, 1.0 and True are one class."""
    values = label_values(pd.Series(column), "binary")
    assert values.tolist() == [1, 0]
    assert class_names(np.unique(values)) == (0, 1)


def test_a_model_that_predicts_too_few_rows_is_refused():
    """There must be one prediction per row."""

    class Short(_NoProbabilities):
        def predict(self, rows):
            return super().predict(rows)[1:]

    _, rows, labels = fitted("binary")
    with pytest.raises(ValueError, match=r"\(99,\) values for 100 rows"):
        predict(Short().fit(rows, labels), rows, "binary")
