"""How far a metric would wander on other rows of the same kind: its standard error."""

from __future__ import annotations

import math

import numpy as np

from include.retraining.evaluation.influence import influence
from include.retraining.evaluation.metrics import compute
from include.retraining.evaluation.own_scores import NotDefined
from include.retraining.training.predictions import Sample


def standard_error(metric: str, sample: Sample) -> float | None:
    """Return the standard error of a metric, in the metric's unit.

    By the rows' influences (`influence.py`). One wrong answer per class is added, in the spirit of
    Agresti and Coull (*The American Statistician* 52, 1998): ten of ten positives found is no
    certainty.

    Args:
        metric: a scorer's name.
        sample: labels and predictions.

    Returns:
        None when the metric is not defined on the sample, or one of the team without some rows.
    """
    if compute(metric, sample) is None:
        return None
    try:
        effect = influence(metric, sample)
    except NotDefined:
        return None
    every = np.concatenate((effect.rows, effect.flips))
    error = math.sqrt(float((every**2).sum())) / sample.rows
    return error if math.isfinite(error) else None
