"""How much a column may move: what inputs of before showed that it does, and at least a default.

Limits are learned from what was compared while earlier versions served, and hold for as long as the
champion does: a drift that creeps never raises its own limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from include.retraining.monitoring.drift import ColumnDrift, Drift, Limits

DEFAULT = Limits(index=0.2, distance=0.5, missing=0.1)
"""A shift that is usually called great: about half of a standard deviation, or a tenth of the rows
without their value."""
MAX_LEARNED = 28
"""How many inputs are learned from: four weeks of days."""
MIN_LEARNED = 7
MAX_READ = 60
"""How many of the newest comparisons are read for limits."""
ROOM = 1.25
"""Beyond the most that was seen."""
LASTING = 3
"""So many inputs in a row beyond the limit are a drift; fewer are a season, like a weekend."""


class LearnedLimits:
    """How much each column may move while a champion serves."""

    def __init__(self, earlier: Sequence[Drift], *, generation: int) -> None:
        """Learn limits.

        Args:
            earlier: what was compared of the same source, the oldest first.
            generation: since when the champion serves; what was compared with it before has its
                limits already, and only inputs of before are learned from.
        """
        self._known: dict[str, Limits] = {}
        self._usual: dict[str, list[ColumnDrift]] = {}
        for drift in earlier:
            for moved in drift.columns:
                if drift.generation == generation:
                    self._known[moved.name] = moved.limits
                elif drift.generation < generation:
                    self._usual.setdefault(moved.name, []).append(moved)

    def of(self, column: str) -> Limits:
        """Return how much a column may move."""
        known = self._known.get(column)
        return known or _learned(_without_drift(self._usual.get(column, ()))[-MAX_LEARNED:])


def _learned(usual: Sequence[ColumnDrift]) -> Limits:
    if len(usual) < MIN_LEARNED:
        return DEFAULT
    distances = [moved.distance for moved in usual if moved.distance is not None]
    missing = [abs(moved.missing - moved.missing_before) for moved in usual]
    return Limits(
        index=max(DEFAULT.index, ROOM * max(moved.index for moved in usual)),
        distance=max(DEFAULT.distance, ROOM * max(distances, default=0.0)),
        missing=max(DEFAULT.missing, ROOM * max(missing)),
        learned_from=len(usual),
    )


def _without_drift(compared: Sequence[ColumnDrift]) -> list[ColumnDrift]:
    """Return the inputs in which a column was as usual: a drift, or its beginning, is not."""
    groups = [
        (is_beyond, list(inputs))
        for is_beyond, inputs in groupby(compared, key=lambda moved: moved.exceeds)
    ]
    if groups and groups[-1][0]:
        groups.pop()  # how long it would have lasted is unknown
    return [
        moved
        for is_beyond, inputs in groups
        if not is_beyond or len(inputs) < LASTING
        for moved in inputs
    ]
