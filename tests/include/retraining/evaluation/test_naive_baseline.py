"""The naive baseline: the best answer to the decision metric that looks at no feature."""

from __future__ import annotations

import numpy as np
import pytest

from include.retraining.evaluation.metrics import METRICS, compute
from include.retraining.evaluation.naive_baseline import naive_baseline
from include.retraining.training.predictions import Sample, as_sample

RARE = np.array([0] * 90 + [1] * 10)
THREE = np.array(["b"] * 5000 + ["a"] * 3000 + ["c"] * 2000, dtype=object)


@pytest.mark.parametrize("labels", [np.array([1, 1, 0]), np.array(["x", "x", "y"], dtype=object)])
def test_it_knows_the_training_labels_only(labels: np.ndarray) -> None:
    """By accuracy it says the most frequent training label, with the labels' shares."""
    found = naive_baseline(labels, 4, problem="binary", metric="accuracy", positive=labels[0])
    assert found.predictions is not None
    assert found.predictions.values.tolist() == [labels[0]] * 4
    sample = as_sample(
        np.array([labels[0]] * 4),
        found.predictions,
        problem="binary",
        positive=labels[0],
        classes=None,
    )
    assert sample.probabilities == pytest.approx([2 / 3] * 4)


@pytest.mark.parametrize("metric", sorted(METRICS["binary"]))
def test_no_constant_is_better_for_a_binary_problem(metric: str) -> None:
    """Neither class, told to everybody, scores better on the training labels than the baseline."""
    _check_best(metric, "binary", RARE, 1, [0, 1])


@pytest.mark.parametrize("metric", sorted(METRICS["multiclass"]))
def test_no_constant_is_better_for_several_classes(metric: str) -> None:
    """No class, told to everybody, scores better on the training labels than the baseline."""
    _check_best(metric, "multiclass", THREE, None, ["a", "b", "c"])


def _check_best(
    metric: str, problem: str, labels: np.ndarray, positive: object, classes: list[object]
) -> None:
    found = naive_baseline(labels, len(labels), problem=problem, metric=metric, positive=positive)
    sample = as_sample(
        labels, found.predictions, problem=problem, positive=positive, classes=tuple(classes)
    )
    ours = compute(metric, sample)
    assert ours is not None
    for number in range(len(classes)):
        always = np.full_like(sample.values, number)
        certain = np.full(len(labels), float(number))
        chances = certain if problem == "binary" else np.eye(len(classes))[always]
        other = compute(metric, Sample(problem, sample.labels, always, chances))
        assert other is None or ours >= other - 1e-12


@pytest.mark.parametrize("metric", ["f1_macro", "f1_weighted", "precision_macro"])
def test_no_guess_at_random_is_better_for_several_classes(metric: str) -> None:
    """Guessing by the classes' shares, or evenly, is no better than the baseline."""
    labels = np.random.default_rng(1).choice(3, 20_000, p=[0.6, 0.3, 0.1])
    found = naive_baseline(labels, len(labels), problem="multiclass", metric=metric, positive=None)
    assert found.predictions is not None
    random = np.random.default_rng(2)
    scores = [
        compute(metric, Sample("multiclass", labels, guess, None))
        for guess in (
            found.predictions.values,
            random.permutation(labels),
            random.integers(0, 3, len(labels)),
        )
    ]
    assert all(score is not None for score in scores)
    assert scores[0] > max(scores[1:]) - 0.01  # type: ignore[operator, type-var]


def test_everybody_is_told_yes_where_that_is_best() -> None:
    """By F1 the rare positive class is the best constant answer, though the other is commoner."""
    found = naive_baseline(RARE, 3, problem="binary", metric="f1", positive=1)
    assert found.predictions is not None
    assert found.predictions.values.tolist() == [1, 1, 1]
    assert found.answers == "the positive class"


@pytest.mark.parametrize("metric", sorted(METRICS["regression"]))
def test_it_is_the_median_for_absolute_and_the_mean_for_other_errors(metric: str) -> None:
    """A regression's constant is the one that the metric's kind of error is least for."""
    labels = np.array([0.0, 0.0, 1.0, 9.0, 90.0])
    found = naive_baseline(labels, 2, problem="regression", metric=metric, positive=None)
    assert found.predictions is not None
    is_absolute = "absolute" in metric
    assert found.predictions.values.tolist() == pytest.approx([1.0 if is_absolute else 20.0] * 2)
    assert found.answers == f"the {'median' if is_absolute else 'mean'} of the training labels"
