"""A team's scorers are asked for predictions that were made, and their intervals hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    get_scorer,
    make_scorer,
    mean_absolute_error,
    roc_auc_score,
)

from include.retraining.evaluation.comparison import compare
from include.retraining.evaluation.metrics import compute, why_undefined
from include.retraining.evaluation.naive_baseline import naive_baseline
from include.retraining.evaluation.own_scores import GROUPS, own_influence
from include.retraining.evaluation.standard_error import standard_error
from include.retraining.training.predictions import Sample

CHANCES = {"greater_is_better": False, "response_method": "predict_proba"}
SCORERS: dict[str, Any] = {
    "accuracy": make_scorer(accuracy_score),
    "neg_brier_score": make_scorer(brier_score_loss, **CHANCES),
    "roc_auc": make_scorer(roc_auc_score, response_method=("decision_function", "predict_proba")),
    "neg_mean_absolute_error": make_scorer(mean_absolute_error, greater_is_better=False),
    "balanced_accuracy": get_scorer("balanced_accuracy"),
    "roc_auc_ovr": get_scorer("roc_auc_ovr"),
}
OF_EACH_KIND = ("accuracy", "neg_brier_score", "roc_auc", "neg_mean_absolute_error")
PROBLEMS = {
    "accuracy": "binary",
    "neg_brier_score": "binary",
    "roc_auc": "binary",
    "neg_mean_absolute_error": "regression",
    "balanced_accuracy": "multiclass",
    "roc_auc_ovr": "multiclass",
}


def sample(problem: str, rows: int = 300, *, seed: int = 0, noise: float = 1.0) -> Sample:
    """Labels and predictions that follow them, more or less."""
    random = np.random.default_rng(seed)
    truth = np.random.default_rng(1).normal(size=rows)
    seen = truth + random.normal(scale=noise, size=rows)
    if problem == "regression":
        return Sample(problem, truth, seen, None)
    if problem == "binary":
        chances = 1 / (1 + np.exp(-2 * seen))
        labels = (truth > 0).astype(np.int8)
        return Sample(problem, labels, (seen > 0).astype(np.int8), chances)
    weights = np.exp(-np.abs(seen[:, None] - np.array([-1.5, 0, 1.5])))
    chances = weights / weights.sum(axis=1, keepdims=True)
    return Sample(problem, np.digitize(truth, [-1, 1]), chances.argmax(axis=1), chances)


def with_own(known: Sample, scorer: Any) -> Sample:
    """The same sample with the scorer of a metric of the team."""
    return replace(known, scorers={"own": scorer})


@pytest.mark.parametrize("name", SCORERS)
def test_a_scorer_says_what_it_says_of_the_model_itself(name: str) -> None:
    """scikit-learn's own metric, registered as one of the team, has the same value."""
    known = sample(PROBLEMS[name])
    own = with_own(known, SCORERS[name])
    assert compute("own", own) == pytest.approx(compute(name, known), abs=1e-12)
    assert why_undefined("own", own) is None


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_its_standard_error_is_that_of_the_known_metric(name: str) -> None:
    """The jackknife by groups comes close to what is known of each row."""
    known = sample(PROBLEMS[name], 3000)
    error = standard_error("own", with_own(known, SCORERS[name]))
    assert error == pytest.approx(standard_error(name, known), rel=0.15)


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_its_paired_interval_is_that_of_the_known_metric(name: str) -> None:
    """So a challenger is held to the same margin, whoever wrote the metric."""
    problem = PROBLEMS[name]
    known = [sample(problem, 2000, seed=seed, noise=noise) for seed, noise in ((2, 0.6), (3, 0.8))]
    usual = compare(name, known[0], known[1], holdout_digest="d")
    own = [with_own(one, SCORERS[name]) for one in known]
    found = compare("own", own[0], own[1], holdout_digest="d")
    assert usual is not None
    assert found is not None
    assert found.difference == pytest.approx(usual.difference, abs=1e-12)
    width = found.upper - found.lower
    assert width == pytest.approx(usual.upper - usual.lower, rel=0.25)
    assert found.method == f"t interval by jackknife, {GROUPS} groups of rows"


def test_with_few_rows_each_of_them_is_left_out_once() -> None:
    """Then the influences are the rows' own, and add up to nothing for a mean."""
    known = sample("binary", 50)
    right = known.values == known.labels
    influences = own_influence(SCORERS["accuracy"], known)
    assert influences == pytest.approx(right - right.mean(), abs=1e-9)


def test_a_sample_is_taken_apart_once() -> None:
    """However many others it is compared with, the scorer is asked for its groups once."""
    asked = []

    def scorer(estimator: Any, rows: Any, labels: Any) -> float:
        asked.append(len(labels))
        return float((estimator.predict(rows) == labels).mean())

    first, second = (with_own(sample("binary", seed=seed), scorer) for seed in (1, 2))
    compare("own", first, second, holdout_digest="d")
    before = len(asked)
    compare("own", first, second, holdout_digest="d")
    assert before > 2 * GROUPS
    assert len(asked) - before < 20


def failing(error: Exception) -> Callable[..., float]:
    """Return a scorer that raises."""

    def scorer(estimator: Any, rows: Any, labels: Any) -> float:
        raise error

    return scorer


@pytest.mark.parametrize(
    ("scorer", "reason"),
    [
        (failing(ZeroDivisionError()), "its scorer raised ZeroDivisionError (the log says where)"),
        (lambda *_: float("nan"), "its scorer gave no finite number"),
        (lambda *_: float("inf"), "its scorer gave no finite number"),
        (lambda *_: "many", "its scorer raised ValueError (the log says where)"),
    ],
)
def test_a_scorer_that_says_nothing_is_no_score(scorer: Any, reason: str) -> None:
    """Its metric is undefined with a reason, which the gate cannot judge, and never 0."""
    own = with_own(sample("binary"), scorer)
    assert compute("own", own) is None
    assert why_undefined("own", own) == reason
    assert standard_error("own", own) is None
    assert compare("own", own, own, holdout_digest="d") is None


def test_a_scorer_that_needs_every_row_has_no_interval() -> None:
    """What is not defined without some of the rows is not compared."""

    def of_all(estimator: Any, rows: Any, labels: Any) -> float:
        return 0.5 if len(labels) == 300 else float("nan")

    own = with_own(sample("binary"), of_all)
    assert compute("own", own) == 0.5
    assert standard_error("own", own) is None
    assert compare("own", own, own, holdout_digest="d") is None


def test_probabilities_that_a_model_does_not_give_are_no_score() -> None:
    """A metric of probabilities means nothing for a model of classes only."""
    own = with_own(replace(sample("binary"), probabilities=None), SCORERS["neg_brier_score"])
    assert compute("own", own) is None


@pytest.mark.parametrize(
    ("problem", "labels", "scorer", "answers"),
    [
        ("binary", [0, 0, 1], lambda e, r, y: -float(e.predict(r)[0] == 0), "one class for every"),
        ("binary", [0, 0, 1], SCORERS["accuracy"], "the most frequent training label"),
        ("multiclass", ["b", "b", "a"], SCORERS["accuracy"], "the most frequent training label"),
        ("regression", [0.0, 0.0, 9.0], SCORERS["neg_mean_absolute_error"], "the median of"),
        ("regression", [0.0, 0.0, 9.0], get_scorer("r2"), "the mean of"),
    ],
)
def test_the_naive_baseline_makes_the_best_of_it(
    problem: str, labels: list[Any], scorer: Any, answers: str
) -> None:
    """Of the constant answers it gives the one that the team's metric prefers."""
    known = np.array(labels, dtype=object if isinstance(labels[0], str) else None)
    positive = 1 if problem == "binary" else None
    baseline = naive_baseline(
        known, 4, problem=problem, metric="own", positive=positive, scorer=scorer
    )
    assert baseline.predictions is not None
    assert len(set(baseline.predictions.values)) == 1
    assert baseline.answers.startswith(answers)
