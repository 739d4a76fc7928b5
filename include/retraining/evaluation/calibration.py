"""How far probabilities lie from what happened, of two versions on the same rows.

The rows are put into `GROUPS` groups of about the same size by the probability that a version gives
them. In each group the mean probability should be the share of rows in which the event happened;
the calibration error is the root of the mean square by which it is not (Murphy's reliability,
Journal of Applied Meteorology 12, 1973). Chance alone makes that square larger than 0, by the
variance of each group's mean, which is subtracted (A. Kumar, P. Liang and T. Ma, "Verified
Uncertainty Calibration", NeurIPS 2019).

The event is the positive class of a binary problem. Of several classes it is that the most probable
one is right (C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017).
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from include.retraining.data.arrays import Numbers, Positions
from include.retraining.gate.report import Calibration
from include.retraining.training.predictions import Sample

GROUPS = 10
TAIL = 0.025
"""What lies outside one end of a 95 % interval."""


def compare_calibration(
    challenger: Sample, champion: Sample | None, *, holdout_digest: str
) -> Calibration:
    """Return the calibration errors of two versions and their difference with its interval.

    Args:
        challenger: its labels and predictions.
        champion: those of the champion, for the same rows in the same order; None where there are
            none.
        holdout_digest: of those rows.
    """
    new = _measured(challenger)
    old = None if champion is None else _measured(champion)
    measured = Calibration(
        holdout_digest=holdout_digest, challenger=_root_of(new), champion=_root_of(old)
    )
    if new is None or old is None:
        return measured
    difference = new.square - old.square
    reach = NormalDist().inv_cdf(1 - TAIL) * _standard_error(new, old)
    return measured.model_copy(
        update={
            "excess": _signed_root(difference),
            "lower": _signed_root(difference - reach),
            "upper": _signed_root(difference + reach),
        }
    )


class _Measured(NamedTuple):
    """The squared calibration error of one version, and what its certainty follows from."""

    square: float
    """Without what chance adds; may lie below 0."""
    groups: Positions
    """By row, the number of its group."""
    sizes: Numbers
    """By group, its rows."""
    rest: Numbers
    """By row, how far its own error lies from the mean of its group."""
    influences: Numbers
    """By row, how the square moves with it."""


def _measured(sample: Sample) -> _Measured | None:
    """Measure one version; None where it gives no probabilities."""
    if sample.probabilities is None:
        return None
    chances, happened = _events(sample)
    groups = _groups(chances)
    sizes = np.bincount(groups).astype(np.float64)
    errors = chances - happened
    means = np.bincount(groups, errors) / np.maximum(sizes, 1)
    rest = errors - means[groups]
    # A single row says nothing of its own variance, so it has no part in the square.
    counted = sizes >= 2
    noise = np.bincount(groups, rest**2) / np.maximum(sizes - 1, 1)
    by_group = np.where(counted, sizes * means**2 - noise, 0.0)
    moved = np.where(counted[groups], means[groups] ** 2 + 2 * means[groups] * rest, 0.0)
    return _Measured(
        square=float(by_group.sum()) / sample.rows,
        groups=groups,
        sizes=sizes,
        rest=rest,
        influences=moved - moved.mean(),
    )


def _events(sample: Sample) -> tuple[Numbers, Numbers]:
    """Return by row the probability of an event, and 1 where it happened, else 0."""
    given = np.asarray(sample.probabilities, dtype=np.float64)
    if sample.problem == "binary":
        return given, (sample.labels == 1).astype(np.float64)
    most_probable = given.argmax(axis=1)
    return given.max(axis=1), (most_probable == sample.labels).astype(np.float64)


def _groups(chances: Numbers) -> Positions:
    """Return by row the number of its group: equal probabilities are in one group."""
    edges = np.unique(np.quantile(chances, np.arange(1, GROUPS) / GROUPS))
    return np.searchsorted(edges, chances, side="right")


def _standard_error(new: _Measured, old: _Measured) -> float:
    """Return the standard error of the difference of two squares on the same rows.

    The first part is of the rows' influences, paired. It vanishes where both are well calibrated:
    then what is left is the second, the variance of the squared noise of the groups' means, which
    is twice the square of their covariance. As the influences are taken at the measured means and
    not at the true ones, the first part holds that noise twice over, so it is subtracted once.
    """
    rows = len(new.groups)
    first = float(((new.influences - old.influences) ** 2).sum()) / rows**2
    second = _squared_noise(new, new) + _squared_noise(old, old) - 2 * _squared_noise(new, old)
    return math.sqrt(max(first - second, second, 0.0))


def _squared_noise(one: _Measured, other: _Measured) -> float:
    """Return the covariance of the squared noise of two versions' groups."""
    width = len(other.sizes)
    both = np.bincount(
        one.groups * width + other.groups,
        one.rest * other.rest,
        minlength=len(one.sizes) * width,
    ).reshape(len(one.sizes), width)
    sizes = np.maximum(np.outer(one.sizes, other.sizes), 1)
    return 2 * float((both**2 / sizes).sum()) / len(one.groups) ** 2


def _root_of(measured: _Measured | None) -> float | None:
    """Return a calibration error; 0 where chance alone explains more than there is."""
    return None if measured is None else math.sqrt(max(measured.square, 0.0))


def _signed_root(square: float) -> float:
    return math.copysign(math.sqrt(abs(square)), square)
