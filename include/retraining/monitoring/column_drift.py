"""Comparing a column with the profile of the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from include.retraining.data.arrays import Numbers
from include.retraining.formatting.numbers import number
from include.retraining.formatting.text import truncate
from include.retraining.monitoring.column_profile import (
    ColumnProfile,
    bin_counts,
    category_counts,
    numbers,
    quantiles_of,
)
from include.retraining.monitoring.divergence import (
    distance_allowance,
    index_allowance,
    quantile_distance,
    stability_index,
)
from include.retraining.monitoring.drift import Bin, ColumnDrift, Limits

MIN_ROWS = 100
"""Fewer rows are not compared: chance alone moves them as much as a drift would."""
MAX_BARS = 10
"""Categories that are drawn; the others are one bar."""
REST = "all others"


def compare_column(
    column: pd.Series[Any], profile: ColumnProfile, limits: Limits
) -> ColumnDrift | str:
    """Return how far a column has moved from its profile, or why that cannot be seen."""
    if min(profile.present, len(column)) < MIN_ROWS:
        return f"fewer than {MIN_ROWS} rows"
    if profile.categories is None:
        values = numbers(column)
        if values is None:
            return "numbers in training, and none now"
        return _compare_numbers(column, values[np.isfinite(values)], profile, limits)
    return _compare_categories(column, profile, profile.categories, limits)


def _compare_numbers(
    column: pd.Series[Any], present: Numbers, profile: ColumnProfile, limits: Limits
) -> ColumnDrift:
    before, edges = profile.counts or (), profile.edges
    distance = None
    if len(present) >= MIN_ROWS:
        distance = quantile_distance(profile.quantiles or (), quantiles_of(present))
    now = bin_counts(present, edges)
    labels = [
        *(f"up to {number(edge, 3)}" for edge in edges),
        f"above {number(edges[-1], 3)}",
    ]
    bins = _bins(labels, before, now)
    return _column_drift(column, profile, limits, before, now, distance=distance, bins=bins)


def _compare_categories(
    column: pd.Series[Any], profile: ColumnProfile, known: dict[str, int], limits: Limits
) -> ColumnDrift:
    counts = category_counts(column)
    others = sum(rows for name, rows in counts.items() if name not in known)
    before = [*known.values(), profile.others]
    now = [*(counts.get(name, 0) for name in known), others]
    shown = list(known)[:MAX_BARS]
    rest_before = profile.present - sum(before[: len(shown)])
    rest = sum(now) - sum(now[: len(shown)])
    labels = [*(truncate(name, 30) for name in shown), REST]
    bins = _bins(labels, [*before[: len(shown)], rest_before], [*now[: len(shown)], rest])
    drift = _column_drift(column, profile, limits, before, now, distance=None, bins=bins)
    found = {
        "new": others / len(column) if profile.others == 0 else None,
        "vanished": tuple(name for name in known if not counts.get(name)),
    }
    return drift.model_copy(update=found)


def _column_drift(
    column: pd.Series[Any],
    profile: ColumnProfile,
    limits: Limits,
    before: Sequence[int],
    now: Sequence[int],
    *,
    distance: float | None,
    bins: tuple[Bin, ...],
) -> ColumnDrift:
    rows, present = len(column), int(np.sum(now))
    missing_before, missing = profile.missing / profile.rows, 1 - present / rows
    by_chance = distance_allowance(profile.rows, rows)
    movements = [(abs(missing - missing_before) - by_chance) / limits.missing]
    index = 0.0
    if present:  # a column that is empty now has moved by its missing values
        index = stability_index(before, now)
        movements.append((index - index_allowance(before, now)) / limits.index)
    if distance is not None:
        chance = distance_allowance(profile.present, present)
        movements.append((distance - chance) / limits.distance)
    return ColumnDrift(
        name=str(column.name),
        index=index,
        distance=distance,
        missing_before=missing_before,
        missing=missing,
        limits=limits,
        movement=max(0.0, *movements),
        bins=bins,
    )


def _bins(labels: Sequence[str], before: Sequence[int], now: Sequence[int]) -> tuple[Bin, ...]:
    """Return each bin's shares of the rows that hold a value."""
    before_rows, rows = max(1, sum(before)), max(1, sum(now))
    return tuple(
        Bin(label=label, before=was / before_rows, now=held / rows)
        for label, was, held in zip(labels, before, now, strict=True)
    )
