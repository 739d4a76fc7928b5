"""The paired comparison of two versions on the same rows, with an interval that holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit  # type: ignore[import-untyped]

from include.retraining.data.arrays import Numbers
from include.retraining.evaluation.influence import TABLE_METRICS, influence
from include.retraining.evaluation.metrics import compute
from include.retraining.evaluation.own_scores import GROUPS, NotDefined
from include.retraining.gate.report import Comparison
from include.retraining.training.predictions import Sample

TAIL = 0.025
"""What lies outside one end of a 95 % interval."""

BEYOND = 1.5
"""How far beyond the largest difference that was seen an unseen row may lie. With 1, squared errors
with heavy tails are trusted too much (`python -m benchmarks gate`)."""


def compare(
    metric: str, challenger: Sample, opponent: Sample, *, holdout_digest: str, tail: float = TAIL
) -> Comparison | None:
    """Return the challenger's metric minus the opponent's, with an interval.

    Accuracy: the score interval that belongs to McNemar's test (Tango, 1998). Any other metric: a
    t interval by the rows' influences on the difference (`influence.py`), which counts in what it
    has not seen; see `_spread`.

    Args:
        metric: a scorer's name that `metric_ranges.metrics_for` allows for the problem.
        challenger: its labels and predictions.
        opponent: those of the other, for the same rows in the same order.
        holdout_digest: of those rows.
        tail: the chance that the truth lies below the lower end, and that it lies above the upper
            one; 0.025 is a 95 % interval.

    Returns:
        The comparison, or None when the metric is not defined for one of the two, or one of the
        team without some rows.
    """
    challenger_score, opponent_score = compute(metric, challenger), compute(metric, opponent)
    if challenger_score is None or opponent_score is None:
        return None
    difference = challenger_score - opponent_score
    if metric == "accuracy":
        lower, upper, method = _mcnemar(challenger, opponent, tail)
        narrowest: float | None = paired_score_interval(0, 0, challenger.rows, tail=tail)[1]
    else:
        try:
            spread = _spread(metric, challenger, opponent)
        except NotDefined:
            return None
        reach = spread.seen.reach(tail)
        lower, upper = difference - reach, difference + reach
        method = f"t interval by influence, {spread.differing:,} of {challenger.rows:,} rows differ"
        if metric in challenger.scorers:
            method = f"t interval by jackknife, {min(GROUPS, challenger.rows)} groups of rows"
        narrowest = spread.unseen.reach(tail) or None
    return Comparison(
        metric=metric,
        holdout_digest=holdout_digest,
        difference=difference,
        lower=lower,
        upper=upper,
        method=method,
        rows=challenger.rows,
        level=1 - 2 * tail,
        rarest=None
        if challenger.problem == "regression"
        else int(np.unique(challenger.labels, return_counts=True)[1].min()),
        narrowest=narrowest,
    )


@dataclass(frozen=True)
class _Error:
    """A standard error with the degrees of freedom of its estimate."""

    error: float
    freedom: float

    @classmethod
    def of(cls, influences: Numbers, rows: int) -> _Error:
        """Take the freedom from the fourth moment, so that few rows that carry it all count as few.

        ``influences`` has one for each of the ``rows``, and for each row that was not seen.

        L. H. Shoemaker, The American Statistician 57 (2003): the variance of a sample variance is
        that of a chi square with 2 n / (kurtosis - 1) degrees of freedom.
        """
        squares = float((influences**2).sum())
        if squares == 0:
            return cls(0.0, float(rows))
        kurtosis = len(influences) * float((influences**4).sum()) / squares**2
        return cls(math.sqrt(squares) / rows, 2 * len(influences) / max(kurtosis - 1, 1e-9))

    def reach(self, tail: float) -> float:
        """Return how far an interval reaches to each side."""
        return float(stdtrit(self.freedom, 1 - tail)) * self.error


class _Spread(NamedTuple):
    seen: _Error
    unseen: _Error
    """What it would be if no row differed; 0 for a metric without classes."""
    differing: int
    """The rows that move the two metrics differently."""


def _spread(metric: str, challenger: Sample, opponent: Sample) -> _Spread:
    """Return the spread of a difference, with two rows more than were seen for each class.

    In one of them only the challenger is right, in the other only its opponent, as A. Agresti and
    Y. Min add them for paired proportions (Statistics in Medicine 24, 2005). Without them, two
    versions that happen to agree on ten positives would be known to agree on all. For a metric
    without classes they are `BEYOND` times as large as the largest difference that was seen, and
    next to nothing where every number is the same.
    """
    a, b = influence(metric, challenger), influence(metric, opponent)
    moved = (a.rows - b.rows) * _small_sample(challenger)
    least = 1e-12 * max(1.0, float(np.abs(a.rows).max()))
    by_class = np.maximum(a.flips, b.flips)
    unseen = by_class
    if metric not in TABLE_METRICS:
        # Numbers that are equal in every row come of one and the same function.
        largest = np.abs(moved).max() or least
        unseen = np.append(by_class, BEYOND * largest)
    return _Spread(
        seen=_Error.of(np.concatenate((moved, unseen, -unseen)), challenger.rows),
        unseen=_Error.of(
            np.concatenate((np.zeros(challenger.rows), by_class, -by_class)), challenger.rows
        ),
        differing=int((np.abs(moved) > least).sum()),
    )


def _small_sample(sample: Sample) -> Numbers:
    """Return by row the root of n / (n - 1), n being the rows of its class."""
    if sample.problem == "regression":
        counts = np.full(sample.rows, sample.rows)
    else:
        _, place, by_class = np.unique(sample.labels, return_inverse=True, return_counts=True)
        counts = by_class[place]
    return np.asarray(np.sqrt(counts / np.maximum(counts - 1, 1)))


def _mcnemar(challenger: Sample, opponent: Sample, tail: float) -> tuple[float, float, str]:
    challenger_right = challenger.values == challenger.labels
    opponent_right = opponent.values == opponent.labels
    better = int((challenger_right & ~opponent_right).sum())
    worse = int((opponent_right & ~challenger_right).sum())
    lower, upper = paired_score_interval(better, worse, challenger.rows, tail=tail)
    return (
        lower,
        upper,
        f"McNemar score interval, {better + worse} of {challenger.rows} rows differ",
    )


def paired_score_interval(
    better: int, worse: int, rows: int, *, tail: float = TAIL
) -> tuple[float, float]:
    """Return the interval of the difference between two paired proportions.

    Tango, Statistics in Medicine 17 (1998): every difference that the score test does not refute.

    Args:
        better: rows that only the first has right.
        worse: rows that only the second has right.
        rows: all rows.
        tail: what lies outside each end.
    """

    def score(delta: float) -> float:
        """Return how many standard errors the observed difference lies above ``delta``."""
        linear = (2 * rows - better + worse) * delta - better - worse
        constant = -worse * delta * (1 - delta)
        share = (math.sqrt(linear**2 - 8 * rows * constant) - linear) / (4 * rows)
        variance = rows * (2 * share + delta * (1 - delta))
        distance = better - worse - rows * delta
        return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)

    observed = (better - worse) / rows
    level = NormalDist().inv_cdf(1 - tail)
    return (
        _falling_through(level, score, -1.0, observed),
        _falling_through(-level, score, observed, 1.0),
    )


def _falling_through(
    level: float, function: Callable[[float], float], low: float, high: float
) -> float:
    """Return where a falling function passes a level, by bisection."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > level else (low, middle)
    return (low + high) / 2
