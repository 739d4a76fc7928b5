"""The paired comparison of two versions on the same rows, with a 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from include.retraining.predictions import Sample
from include.retraining.report import Comparison
from include.retraining.resampling import weighted_metric

MAX_ROWS = 20_000
RESAMPLES = 1_000
CHUNK = 25
Z_95 = 1.959963984540054


def compare(
    metric: str,
    challenger: Sample,
    opponent: Sample,
    *,
    difference: float,
    seed: int,
    holdout_digest: str,
) -> Comparison | None:
    """Return the challenger's metric minus the opponent's, with a 95 % interval.

    Accuracy: the score interval that belongs to McNemar's test (Tango, 1998), which holds where few
    rows or none are decided differently. Any other metric: a paired bootstrap on at most 20,000
    rows, its interval laid around the difference on all rows.

    Args:
        metric: a scorer's name.
        challenger: labels and predictions of the challenger.
        opponent: of the other, for the same rows in the same order.
        difference: the metric's difference on all rows.
        seed: for the bootstrap; the same seed gives the same interval.
        holdout_digest: of those rows.

    Returns:
        The comparison, or None when more than 5 % of the resamples leave the metric undefined.
    """
    if metric == "accuracy":
        lower, upper, method = _mcnemar(challenger, opponent)
    else:
        interval = _bootstrap(metric, challenger, opponent, difference, seed)
        if interval is None:
            return None
        lower, upper, method = interval
    return Comparison(
        metric=metric,
        holdout_digest=holdout_digest,
        difference=difference,
        lower=lower,
        upper=upper,
        method=method,
        rows=challenger.rows,
    )


def _mcnemar(challenger: Sample, opponent: Sample) -> tuple[float, float, str]:
    ours = challenger.values == challenger.labels
    theirs = opponent.values == opponent.labels
    better, worse = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    lower, upper = paired_score_interval(better, worse, challenger.rows)
    return (
        lower,
        upper,
        f"McNemar score interval, {better + worse} of {challenger.rows} rows differ",
    )


def paired_score_interval(better: int, worse: int, rows: int) -> tuple[float, float]:
    """Return the 95 % interval of the difference between two paired proportions.

    Tango, Statistics in Medicine 17 (1998): every difference that the score test does not refute.

    Args:
        better: rows that only the first has right.
        worse: rows that only the second has right.
        rows: all rows.
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
    return (
        _falling_through(Z_95, score, -1.0, observed),
        _falling_through(-Z_95, score, observed, 1.0),
    )


def _falling_through(
    level: float, function: Callable[[float], float], low: float, high: float
) -> float:
    """Return where a falling function passes a level, by bisection."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > level else (low, middle)
    return (low + high) / 2


def _bootstrap(
    metric: str, challenger: Sample, opponent: Sample, difference: float, seed: int
) -> tuple[float, float, str] | None:
    random = np.random.default_rng(seed)
    rows = min(challenger.rows, MAX_ROWS)
    if rows < challenger.rows:
        chosen = np.sort(random.choice(challenger.rows, rows, replace=False))
        challenger, opponent = challenger.take(chosen), opponent.take(chosen)
    ours, theirs = weighted_metric(metric, challenger), weighted_metric(metric, opponent)
    everything = np.ones((1, rows))
    centre = (ours(everything) - theirs(everything)).item()
    found = []
    for _ in range(RESAMPLES // CHUNK):
        drawn = random.integers(0, rows, (CHUNK, rows))
        weights = np.stack([np.bincount(row, minlength=rows) for row in drawn]).astype(float)
        found.append(ours(weights) - theirs(weights))
    differences = np.concatenate(found)
    finite = differences[np.isfinite(differences)]
    if len(finite) < 0.95 * RESAMPLES or not math.isfinite(centre):
        return None
    lower, upper = np.quantile(finite, (0.025, 0.975)) + (difference - centre)
    method = f"paired bootstrap, {RESAMPLES:,} resamples of {rows:,} rows"
    return float(lower), float(upper), method
