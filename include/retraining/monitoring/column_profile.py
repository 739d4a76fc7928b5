"""What is kept of a column: how its rows spread over quantiles or categories, and no row of it.

Numbers are kept as quantiles and as counts between deciles; what has few different values, as
counts by value. A value that few rows hold is never kept: it might name someone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from include.retraining.data.arrays import Numbers
from include.retraining.documents import Document

LEVELS = tuple(level / 20 for level in range(1, 20))
"""5 % to 95 %: what lies beyond is a few rows."""
MAX_DISCRETE = 20
"""Numbers with at most so many different values are counted by value."""
MAX_CATEGORIES = 50
MIN_CATEGORY_ROWS = 5


class ColumnProfile(Document):
    """How the rows of a column are spread."""

    rows: int
    """Missing ones included."""
    missing: int
    quantiles: tuple[float, ...] | None = None
    """Of numbers, at `LEVELS`; null for categories."""
    counts: tuple[int, ...] | None = None
    """Rows up to each decile that differs from the one before, and beyond the last."""
    categories: dict[str, int] | None = None
    """Rows by value, of at most `MAX_CATEGORIES` that `MIN_CATEGORY_ROWS` rows hold; null for
    numbers."""
    others: int = 0
    """Rows of values that are not kept."""

    @property
    def present(self) -> int:
        """The rows that hold a value."""
        return self.rows - self.missing

    @property
    def edges(self) -> tuple[float, ...]:
        """The deciles, each once; none of categories."""
        return tuple(dict.fromkeys((self.quantiles or ())[1::2]))


def profile_column(column: pd.Series[Any]) -> ColumnProfile | None:
    """Return the profile of a column; None for one of times, which move by themselves."""
    if is_time(column.dtype):
        return None
    values = numbers(column)
    if values is None:
        return _of_categories(column)
    present = values[np.isfinite(values)]
    if len(present) == 0 or _are_few(present):
        return _of_categories(column)
    quantiles = quantiles_of(present)
    profile = ColumnProfile(
        rows=len(column), missing=len(column) - len(present), quantiles=quantiles
    )
    return profile.model_copy(update={"counts": bin_counts(present, profile.edges)})


def is_time(dtype: Any) -> bool:
    """Return whether a column of this type holds dates, times or durations."""
    if isinstance(dtype, pd.ArrowDtype):
        return bool(pa.types.is_temporal(dtype.pyarrow_dtype))
    return getattr(dtype, "kind", "") in {"M", "m"}


def numbers(column: pd.Series[Any]) -> Numbers | None:
    """Return a column's numbers, NaN where one is missing; None for any other column."""
    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        return None
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def quantiles_of(present: Numbers) -> tuple[float, ...]:
    """Return the quantiles at `LEVELS`, to six digits, which are the same on every machine."""
    return tuple(float(f"{value:.6g}") for value in np.quantile(present, LEVELS))


def bin_counts(present: Numbers, edges: tuple[float, ...]) -> tuple[int, ...]:
    """Return how many numbers lie up to each edge, and beyond the last."""
    places = np.searchsorted(np.asarray(edges), present, side="left")
    return tuple(int(count) for count in np.bincount(places, minlength=len(edges) + 1))


def category_counts(column: pd.Series[Any]) -> dict[str, int]:
    """Return the rows by value, as text: 3 for 3 and 3.0; the most frequent first."""
    values = numbers(column)
    if values is not None:
        different, counts = np.unique(values[np.isfinite(values)], return_counts=True)
        named = {f"{value:.12g}": int(rows) for value, rows in zip(different, counts, strict=True)}
    else:
        named = {}
        for value, rows in column.value_counts(dropna=True).items():
            named[str(value)] = named.get(str(value), 0) + int(rows)
    present = {name: rows for name, rows in named.items() if rows}
    return dict(sorted(present.items(), key=lambda item: (-item[1], item[0])))


def _are_few(present: Numbers) -> bool:
    """Return whether numbers have few different values; a sample answers for most columns."""
    if len(np.unique(present[:1000])) > MAX_DISCRETE:
        return False
    return len(np.unique(present)) <= MAX_DISCRETE


def _of_categories(column: pd.Series[Any]) -> ColumnProfile:
    counts = category_counts(column)
    frequent = {name: rows for name, rows in counts.items() if rows >= MIN_CATEGORY_ROWS}
    kept = dict(list(frequent.items())[:MAX_CATEGORIES])
    present = sum(counts.values())
    return ColumnProfile(
        rows=len(column),
        missing=len(column) - present,
        categories=kept,
        others=present - sum(kept.values()),
    )
