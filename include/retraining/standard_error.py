"""How far a metric would wander on other rows of the same kind: its standard error."""

from __future__ import annotations

import math

import numpy as np

from include.retraining.metrics import compute
from include.retraining.predictions import Sample

MAX_ROWS = 5_000
RESAMPLES = 100
_MEANS = frozenset({"neg_log_loss", "neg_brier_score"})
"""Of a mean over all rows, no class can be so rare that resampling sees no error in it."""


def standard_error(metric: str, sample: Sample, *, seed: int) -> float | None:
    """Return the standard error of a metric, in the metric's unit.

    By a bootstrap of at most 5,000 rows; errors shrink with the root of the rows. One wrong answer
    per class is added first, in the spirit of Agresti and Coull (*The American Statistician* 52,
    1998): ten of ten positives found is no certainty.

    Args:
        metric: a scorer's name.
        sample: labels and predictions.
        seed: the same seed gives the same number.

    Returns:
        None when more than 5 % of the resamples leave the metric undefined.
    """
    if metric not in _MEANS and sample.problem != "regression":
        sample = _with_a_wrong_answer_per_class(sample)
    random = np.random.default_rng(seed)
    rows = min(sample.rows, MAX_ROWS)
    drawn = (sample.take(random.integers(0, sample.rows, rows)) for _ in range(RESAMPLES))
    found = [value for value in (compute(metric, one) for one in drawn) if value is not None]
    if len(found) < 0.95 * RESAMPLES:
        return None
    return float(np.std(found, ddof=1)) * math.sqrt(rows / sample.rows)


def _with_a_wrong_answer_per_class(sample: Sample) -> Sample:
    classes, chances = np.unique(sample.labels), sample.probabilities
    number = int(max(classes.max(), 1)) + 1
    if chances is not None and chances.ndim == 2:
        number = chances.shape[1]
    wrong = (classes + 1) % number
    if chances is not None:
        more = wrong.astype(float) if chances.ndim == 1 else np.eye(number)[wrong]
        chances = np.concatenate([chances, more])
    return Sample(
        sample.problem,
        np.concatenate([sample.labels, classes.astype(sample.labels.dtype)]),
        np.concatenate([sample.values, wrong.astype(sample.values.dtype)]),
        chances,
    )
