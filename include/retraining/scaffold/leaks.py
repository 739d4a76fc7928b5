"""Columns that give the label away by themselves: each of their values stands for one label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from include.retraining.scaffold.columns import Column

MIN_ROWS_PER_VALUE = 5
"""With fewer, a column of few rows tells any label apart by chance."""
TELLING = 0.9999
"""So much of the label's order a column of numbers may not show."""


def leaking_columns(
    frame: pd.DataFrame, label: str, columns: Sequence[Column], *, problem: str
) -> Iterator[str]:
    """Yield the columns that alone tell the label of every row.

    Args:
        frame: the sample.
        label: the column to predict.
        columns: those that might be features.
        problem: the kind of label.
    """
    codes = pd.factorize(frame[label])[0]
    for column in columns:
        values = frame[column.name]
        is_grouped = 2 <= column.distinct <= len(frame) / MIN_ROWS_PER_VALUE
        if is_grouped and problem != "regression" and _names_one_label_each(values, codes):
            yield column.name
        elif column.is_numeric and problem != "multiclass":
            order = codes if problem == "binary" else frame[label].to_numpy(dtype=float)
            if _shows_order(values.to_numpy(dtype=float, na_value=np.nan), order):
                yield column.name


def _names_one_label_each(values: pd.Series, codes: np.ndarray) -> bool:
    groups = pd.Series(codes).groupby(values.to_numpy(), dropna=False)
    return int(groups.nunique().max()) == 1


def _shows_order(values: np.ndarray, label: np.ndarray) -> bool:
    """Return whether a column is the label in another unit, or divides its two classes."""
    is_there = np.isfinite(values)
    values, label = values[is_there], label[is_there]
    if len(values) < 2 * MIN_ROWS_PER_VALUE or np.ptp(values) == 0 or np.ptp(label) == 0:
        return False
    if set(np.unique(label)) == {0, 1}:
        low, high = values[label == 0], values[label == 1]
        return bool(low.max() < high.min() or high.max() < low.min())
    return bool(abs(np.corrcoef(values, label)[0, 1]) > TELLING)
