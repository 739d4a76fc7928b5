"""Calibration errors and their difference; `python -m benchmarks calibration` has the long runs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from benchmarks import calibration
from include.retraining.data.arrays import Numbers, Targets
from include.retraining.evaluation.calibration import compare_calibration
from include.retraining.training.predictions import Sample

ROWS = 10_000


def binary(chances: Numbers, labels: Targets) -> Sample:
    """Predictions of a binary problem."""
    return Sample("binary", labels, (chances > 0.5).astype(int), chances)


def drawn(seed: int = 3) -> tuple[Numbers, Targets]:
    """True probabilities, and what happened."""
    random = np.random.default_rng(seed)
    chances = random.uniform(0.1, 0.8, ROWS)
    return chances, (random.random(ROWS) < chances).astype(int)


def test_the_error_is_how_far_probabilities_are_off() -> None:
    """Probabilities that are all 0.1 too high have an error of 0.1, the true ones of almost 0."""
    chances, labels = drawn()
    measured = compare_calibration(
        binary(chances + 0.1, labels), binary(chances, labels), holdout_digest="rows"
    )
    assert measured.holdout_digest == "rows"
    assert measured.challenger == pytest.approx(0.1, abs=0.02)
    assert measured.champion == pytest.approx(0.0, abs=0.02)
    assert measured.excess is not None
    assert measured.lower is not None
    assert measured.upper is not None
    assert 0.05 < measured.lower < measured.excess < measured.upper < 0.15


def test_who_is_better_has_an_excess_below_zero() -> None:
    """Changing sides turns the sign and the interval round."""
    chances, labels = drawn()
    one, other = binary(chances + 0.1, labels), binary(chances, labels)
    worse = compare_calibration(one, other, holdout_digest="")
    better = compare_calibration(other, one, holdout_digest="")
    assert worse.excess is not None
    assert worse.lower is not None
    assert better.excess == pytest.approx(-worse.excess)
    assert better.upper == pytest.approx(-worse.lower)


def test_equal_probabilities_do_not_differ() -> None:
    """A version compared with itself has no excess, and an interval without width."""
    sample = binary(*drawn())
    measured = compare_calibration(sample, sample, holdout_digest="")
    assert (measured.excess, measured.upper) == (0.0, pytest.approx(0.0, abs=1e-6))


def test_only_the_challenger_is_measured_where_nothing_serves() -> None:
    """Without a champion, or one that gives no probabilities, there is no excess."""
    chances, labels = drawn()
    sample = binary(chances, labels)
    silent = Sample("binary", labels, sample.values, None)
    for champion in (None, silent):
        measured = compare_calibration(sample, champion, holdout_digest="")
        assert measured.challenger is not None
        assert (measured.champion, measured.excess, measured.lower) == (None, None, None)
    measured = compare_calibration(silent, sample, holdout_digest="")
    assert measured.challenger is None
    assert measured.champion is not None


def test_one_probability_for_everybody_is_one_group() -> None:
    """Equal probabilities are never in two groups, and a group of one row has no part."""
    labels = np.array([1, 1, 1, 0] * 25)
    same = np.full(100, 0.5)
    measured = compare_calibration(binary(same, labels), None, holdout_digest="")
    assert measured.challenger == pytest.approx(0.25, abs=0.01)
    alone = np.append(same, 0.1)
    measured = compare_calibration(binary(alone, np.append(labels, 1)), None, holdout_digest="")
    assert measured.challenger == pytest.approx(0.25, abs=0.01)


def test_of_several_classes_the_most_probable_one_counts() -> None:
    """Whoever says 0.7 and is right in half of the rows is off by 0.2."""
    labels = np.array([0, 1] * 1_000)
    chances = np.tile([0.7, 0.2, 0.1], (2_000, 1))
    sample = Sample("multiclass", labels, np.zeros(2_000, dtype=int), chances)
    measured = compare_calibration(sample, None, holdout_digest="")
    assert measured.challenger == pytest.approx(0.2, abs=0.01)


def test_chance_is_subtracted() -> None:
    """True probabilities of few rows have an error of 0 about as often as one above it."""
    random = np.random.default_rng(5)
    exact = 0
    for _ in range(100):
        chances = random.uniform(0.1, 0.8, 200)
        labels = (random.random(200) < chances).astype(int)
        measured = compare_calibration(binary(chances, labels), None, holdout_digest="")
        exact += measured.challenger == 0.0
    assert 40 <= exact <= 75


def test_the_interval_holds_the_truth() -> None:
    """Of versions that are equally far off, at most 5 % have an interval without 0."""
    random = np.random.default_rng(6)
    outside = 0
    for _ in range(200):
        odds = random.standard_normal(500)
        labels = (random.random(500) < expit(odds)).astype(int)
        one, other = (
            binary(expit(odds + 0.3 * random.standard_normal(500)), labels) for _ in range(2)
        )
        measured = compare_calibration(one, other, holdout_digest="")
        assert measured.lower is not None
        assert measured.upper is not None
        outside += not measured.lower <= 0 <= measured.upper
    assert outside <= 10


@pytest.mark.parametrize("offset", [-0.5, -4.0])
def test_an_equal_challenger_is_hardly_ever_refused(offset: float) -> None:
    """Chance makes at most 5 % of equal challengers be refused, of a rare event too."""
    assert calibration.refused(200, 1_000, offset=offset) <= calibration.REFUSED


def test_a_challenger_that_is_too_sure_of_itself_is_refused() -> None:
    """With 2,000 rows at most one in five is missed, with 500 at most three in five."""
    refused = calibration.refused(100, 2_000, stretched=calibration.TOO_SURE)
    assert refused >= 1 - calibration.MISSED
    assert calibration.refused(200, 500, stretched=calibration.TOO_SURE) >= 0.4
