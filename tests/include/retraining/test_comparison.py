from __future__ import annotations

import time

import numpy as np
import pytest

from include.retraining import config, metrics
from include.retraining.comparison import MAX_ROWS, compare, paired_score_interval
from include.retraining.predictions import Sample
from include.retraining.resampling import weighted_metric

ALL = [(problem, name) for problem, names in config.METRICS.items() for name in sorted(names)]
DIGEST = "0" * 64


def make_sample(problem: str, rows: int, *, noise: float = 1.0, seed: int = 0) -> Sample:
    """Labels (the same for every noise) and predictions of a model that is off by some noise."""
    truth, random = np.random.default_rng(7), np.random.default_rng(seed)
    if problem == "regression":
        labels = truth.normal(50, 10, rows)
        return Sample(problem, labels, labels + random.normal(1, 5 * noise, rows), None)
    classes = 2 if problem == "binary" else 3
    labels = truth.integers(0, classes, rows)
    scores = random.normal(0, noise, (rows, classes)).round(1)  # rounded: ties
    scores[np.arange(rows), labels] += 1
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    values = chances.argmax(axis=1)
    return Sample(problem, labels, values, chances[:, 1] if classes == 2 else chances)


@pytest.mark.parametrize(("problem", "name"), ALL)
def test_a_resampled_metric_equals_scikit_learns_on_the_rows_drawn(problem: str, name: str):
    """Counting rows gives what scikit-learn gives for the rows themselves, ties included."""
    sample = make_sample(problem, 61)
    random = np.random.default_rng(3)
    drawn = random.integers(0, 61, (20, 61))
    weights = np.stack([np.bincount(row, minlength=61) for row in drawn]).astype(float)
    fast = weighted_metric(name, sample)(weights)
    slow = [metrics.compute(name, sample.take(row)) for row in drawn]
    assert fast == pytest.approx(slow, abs=1e-9)


def test_a_resample_without_one_class_is_undefined():
    """The area under the curve of a resample that holds one class is NaN, not a number."""
    sample = make_sample("binary", 30)
    weights = (sample.labels == 1).astype(float)[None, :]
    assert np.isnan(weighted_metric("roc_auc", sample)(weights)).all()
    assert np.isnan(weighted_metric("average_precision", sample)(1 - weights)).all()


@pytest.mark.parametrize(("problem", "name"), ALL)
def test_a_much_better_challenger_lies_above_and_itself_spans_zero(problem: str, name: str):
    """The interval lies above zero for a far better model, and holds zero for an equal one."""
    better = make_sample(problem, 400, noise=0.3, seed=1)
    worse = make_sample(problem, 400, noise=3.0, seed=2)
    scores = {id(sample): metrics.compute(name, sample) for sample in (better, worse)}

    def run(one: Sample, other: Sample):
        difference = scores[id(one)] - scores[id(other)]
        return compare(name, one, other, difference=difference, seed=1, holdout_digest=DIGEST)

    up, down, itself = run(better, worse), run(worse, better), run(better, better)
    assert 0 < up.lower < up.difference < up.upper
    assert down.lower < down.difference < down.upper < 0
    assert itself.lower <= 0 <= itself.upper
    assert up.rows == 400
    assert up.holdout_digest == DIGEST


def test_the_same_seed_gives_the_same_interval():
    """A comparison is repeatable, and its seed matters."""
    one, other = make_sample("binary", 300, seed=1), make_sample("binary", 300, seed=2)
    first, second, third = (
        compare("roc_auc", one, other, difference=0.0, seed=seed, holdout_digest=DIGEST)
        for seed in (5, 5, 6)
    )
    assert first == second
    assert first != third


def test_a_rare_class_that_most_resamples_miss_cannot_be_compared():
    """With one positive row a third of the resamples have none: there is no interval."""
    sample = make_sample("binary", 50)
    labels = np.zeros(50, dtype=int)
    labels[0] = 1
    rare = Sample("binary", labels, sample.values, sample.probabilities)
    assert compare("roc_auc", rare, rare, difference=0.0, seed=1, holdout_digest=DIGEST) is None


@pytest.mark.parametrize("name", ["neg_median_absolute_error", "r2"])
def test_a_large_holdout_is_sampled_and_quick(name: str):
    """Beyond 20,000 rows a sample gives the width; the interval lies around the full difference."""
    one, other = (make_sample("regression", 100_000, seed=seed) for seed in (1, 2))
    started = time.monotonic()
    found = compare(name, one, other, difference=0.25, seed=1, holdout_digest=DIGEST)
    assert time.monotonic() - started < 15
    assert f"{MAX_ROWS:,} rows" in found.method
    assert found.rows == 100_000
    assert found.lower < 0.25 < found.upper


@pytest.mark.parametrize("worse", [0, 3, 10, 40])
def test_the_score_interval_belongs_to_mcnemars_test(worse: int):
    """It excludes 0 just when McNemar's statistic exceeds the 95 % point of chi squared."""
    for better in range(60):
        is_significant = (better - worse) ** 2 > 3.8414588 * (better + worse)
        lower, upper = paired_score_interval(better, worse, 400)
        assert (lower > 1e-9 or upper < -1e-9) == is_significant


@pytest.mark.fault("F09")
def test_the_score_interval_of_models_that_never_differ():
    """Without a row that differs its half-width is z² / (n + z²): few rows prove little."""
    for rows in (20, 500):
        expected = 3.8414588 / (rows + 3.8414588)
        assert paired_score_interval(0, 0, rows) == pytest.approx((-expected, expected))


@pytest.mark.parametrize(
    ("better", "worse", "rows"), [(0, 0, 100), (5, 0, 500), (0, 5, 500), (30, 20, 500), (9, 0, 9)]
)
def test_the_score_interval_holds_the_difference_and_mirrors(better: int, worse: int, rows: int):
    """The interval holds what was observed, has a width even at 0, and flips with its arguments."""
    lower, upper = paired_score_interval(better, worse, rows)
    observed = (better - worse) / rows
    assert lower - 1e-9 <= observed <= upper + 1e-9
    assert upper - lower > 0.001
    assert (-upper, -lower) == pytest.approx(paired_score_interval(worse, better, rows), abs=1e-9)


@pytest.mark.fault("F09")
@pytest.mark.parametrize(("p_better", "p_worse"), [(0.0, 0.01), (0.02, 0.03), (0.1, 0.1)])
def test_the_score_interval_is_seldom_wrong(p_better: float, p_worse: float):
    """Its lower end lies above the truth for about 2.5 % of holdouts only."""
    random = np.random.default_rng(11)
    counts = random.multinomial(500, [p_better, p_worse, 1 - p_better - p_worse], 1500)
    lowers = np.array([paired_score_interval(int(b), int(w), 500)[0] for b, w, _ in counts])
    assert np.mean(lowers > p_better - p_worse) < 0.045


def test_accuracy_is_compared_by_rows_that_differ():
    """The method says how many rows the two decide differently."""
    labels = np.zeros(200, dtype=int)
    ours, theirs = labels.copy(), labels.copy()
    ours[:3], theirs[3:13] = 1, 1
    found = compare(
        "accuracy",
        Sample("binary", labels, ours, None),
        Sample("binary", labels, theirs, None),
        difference=7 / 200,
        seed=1,
        holdout_digest=DIGEST,
    )
    assert found.method == "McNemar score interval, 13 of 200 rows differ"
    assert (found.lower, found.upper) == paired_score_interval(10, 3, 200)
