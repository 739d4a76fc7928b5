"""How far a metric would wander on other rows of the same kind: its standard error."""

from __future__ import annotations

import math

import numpy as np

from include.retraining.predictions import Sample
from include.retraining.resampling import weighted_metric

MAX_ROWS = 20_000
RESAMPLES = 200
CHUNK = 25
_MEANS = frozenset({"neg_log_loss", "neg_brier_score"})
"""Of a mean over all rows, no class can be so rare that resampling sees no error in it."""


def standard_error(metric: str, sample: Sample, *, seed: int) -> float | None:
    """Return the standard error of a metric, in the metric's unit.

    A Poisson bootstrap (Chamandy et al., *Estimating uncertainty for massive data streams*, 2012)
    of at most 20,000 rows. One wrong answer per class is added first, in the spirit of Agresti and
    Coull (*The American Statistician* 52, 1998): ten of ten positives found is no certainty.

    Args:
        metric: a scorer's name.
        sample: labels and predictions.
        seed: the same seed gives the same number.

    Returns:
        None when more than 5 % of the resamples leave the metric undefined, or when it needs
        probabilities and there are none.
    """
    if metric not in _MEANS and sample.problem != "regression":
        sample = _with_a_wrong_answer_per_class(sample)
    random = np.random.default_rng(seed)
    rows = min(sample.rows, MAX_ROWS)
    share = rows / sample.rows
    if rows < sample.rows:
        sample = sample.take(np.sort(random.choice(sample.rows, rows, replace=False)))
    try:
        value = weighted_metric(metric, sample)
    except ValueError:
        return None
    found = np.concatenate([
        value(random.poisson(1.0, (CHUNK, rows)).astype(float)) for _ in range(RESAMPLES // CHUNK)
    ])
    finite = found[np.isfinite(found)]
    if len(finite) < 0.95 * RESAMPLES:
        return None
    return float(finite.std(ddof=1)) * math.sqrt(share)


def _with_a_wrong_answer_per_class(sample: Sample) -> Sample:
    classes = np.unique(sample.labels)
    chances = sample.probabilities
    number = max(2, 0 if chances is None or chances.ndim == 1 else chances.shape[1])
    number = max(number, int(classes.max(initial=0)) + 1, int(sample.values.max(initial=0)) + 1)
    wrong = (classes + 1) % number
    if chances is not None:
        more = wrong.astype(float) if chances.ndim == 1 else np.eye(chances.shape[1])[wrong]
        chances = np.concatenate([chances, more])
    return Sample(
        sample.problem,
        np.concatenate([sample.labels, classes.astype(sample.labels.dtype)]),
        np.concatenate([sample.values, wrong.astype(sample.values.dtype)]),
        chances,
    )
