"""Comparing an input with a profile, one column after another, so that none is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from include.retraining.monitoring.column_drift import compare_column
from include.retraining.monitoring.drift import MOVED_MOST, ColumnDrift, Drift
from include.retraining.monitoring.drift_limits import LearnedLimits

if TYPE_CHECKING:
    import pandas as pd

    from include.retraining.monitoring.column_profile import ColumnProfile


class Comparison:
    """How far the columns of one input have moved."""

    def __init__(self, columns: Mapping[str, ColumnProfile], limits: LearnedLimits) -> None:
        """Compare with these profiles."""
        self._profiles = columns
        self._limits = limits
        self._moved: list[ColumnDrift] = []
        self._skipped = dict.fromkeys(columns, "the input lacks it")

    def add(self, column: pd.Series[Any]) -> None:
        """Compare the next column, if there is a profile of it."""
        name = str(column.name)
        profile = self._profiles.get(name)
        if profile is None:
            return
        result = compare_column(column, profile, self._limits.of(name))
        if isinstance(result, ColumnDrift):
            del self._skipped[name]
            self._moved.append(result)
        else:
            self._skipped[name] = result

    def finish(self, drift: Drift, rows: int) -> Drift:
        """Return a document with what was compared, or with why nothing could be."""
        if not self._moved:
            reasons = ", ".join(sorted(set(self._skipped.values()))) or "it has no columns"
            return drift.model_copy(
                update={
                    "cannot_judge": f"no column could be compared: {reasons}",
                    "not_compared": self._skipped,
                }
            )
        ranked = sorted(self._moved, key=lambda moved: (-moved.movement, -moved.index, moved.name))
        columns = [
            *ranked[:MOVED_MOST],
            *(moved.model_copy(update={"bins": ()}) for moved in ranked[MOVED_MOST:]),
        ]
        return drift.model_copy(
            update={"rows": rows, "columns": tuple(columns), "not_compared": self._skipped}
        )
