"""How far two samples of one column lie apart, as effect sizes that do not grow with the rows.

A test of whether two samples differ at all finds any difference once the rows are many enough. So a
sample is compared by how much it moved, and what chance explains is allowed on top of the limit: it
is noticeable for a thousand rows and nothing for a million.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from include.retraining.data.arrays import Numbers

MIN_SHARE = 0.001
"""A bin counts as holding at least this share of the rows, so that one which was empty does not
make the index infinite, or larger the more rows there are."""
ERRORS = 4.0
"""Standard errors that chance is allowed."""


def stability_index(before: Sequence[int] | Numbers, now: Sequence[int] | Numbers) -> float:
    """Return the population stability index of two samples, less what chance is expected to add.

    The index is the sum over bins of (q - p) * ln(q / p), the symmetric Kullback-Leibler
    divergence; two samples of one population have about (bins - 1) * (1/n + 1/m) of it. By
    convention, 0.1 is a slight and 0.25 a great shift; a normal distribution that moved by half of
    its standard deviation has about 0.25.

    Args:
        before: rows by bin; at least one row.
        now: the same of the other sample, in the same bins.
    """
    p, q = _shares(before), _shares(now)
    index = float(np.sum((q - p) * np.log(q / p)))
    return max(0.0, index - _used_bins(before, now) * _per_row(before, now))


def index_allowance(before: Sequence[int] | Numbers, now: Sequence[int] | Numbers) -> float:
    """Return by how much the index may exceed its limit by chance.

    For two samples of one population it is spread like (1/n + 1/m) times chi-squared.
    """
    degrees = _used_bins(before, now)
    return ERRORS * math.sqrt(2 * degrees) * _per_row(before, now)


def quantile_distance(before: Sequence[float], now: Sequence[float]) -> float | None:
    """Return the Wasserstein distance by two samples' quantiles, in standard deviations of before.

    It is the mean difference of quantiles of the same levels. Both lack the outermost rows, so that
    one great number moves nothing.

    Args:
        before: quantiles at evenly spaced levels.
        now: at the same levels.

    Returns:
        The distance; None when nearly all values of before were the same.
    """
    spread = float(np.std(before))
    if spread <= 0:
        return None
    return float(np.mean(np.abs(np.subtract(now, before)))) / spread


def distance_allowance(rows_before: int, rows_now: int) -> float:
    """Return by how much a distance, or a share, may exceed its limit by chance."""
    return ERRORS * 0.5 * math.sqrt(1 / rows_before + 1 / rows_now)


def _shares(counts: Sequence[int] | Numbers) -> Numbers:
    rows = np.asarray(counts, dtype=float)
    shares: Numbers = np.maximum(rows / rows.sum(), MIN_SHARE)
    return shares


def _used_bins(before: Sequence[int] | Numbers, now: Sequence[int] | Numbers) -> int:
    """Return the degrees of freedom: the bins with rows, less one."""
    return max(0, int(np.count_nonzero(np.add(before, now))) - 1)


def _per_row(before: Sequence[int] | Numbers, now: Sequence[int] | Numbers) -> float:
    return 1 / float(np.sum(before)) + 1 / float(np.sum(now))
