"""Whether the champion's inputs have drifted: by several inputs in a row, never by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from include.retraining.exceptions import EvidenceError
from include.retraining.monitoring.drift import (
    DRIFT_SOURCES,
    ColumnDrift,
    Drift,
    DriftSource,
    read_drifts,
)
from include.retraining.store.object_store import Store

WINDOWS = 5
"""The newest inputs that count, of those that were compared with the champion."""
BEYOND = 3
"""A column has drifted when it is beyond its limit in so many of them, the newest included."""


class DriftStatus(StrEnum):
    """What can be said of the champion's inputs."""

    NOTHING_COMPARED = "nothing compared"
    """No input came since the champion serves."""
    USUAL = "usual"
    DRIFTED = "drifted"
    CANNOT_JUDGE = "cannot judge"
    """An input came, and could not be compared."""


@dataclass(frozen=True)
class DriftState:
    """Whether the inputs of one source have drifted."""

    status: DriftStatus
    newest: Drift | None
    """None before anything was compared with the champion."""
    columns: tuple[ColumnDrift, ...] = ()
    """Those that have drifted, as the newest input shows them."""
    windows: int = 0
    """How many inputs counted."""
    reason: str | None = None
    """Why it cannot be judged."""


def drift_state(drifts: Sequence[Drift], generation: int) -> DriftState:
    """Return whether inputs have drifted from what the champion was trained on.

    Args:
        drifts: of one source, the oldest first.
        generation: of the promotion log, since when the champion serves.
    """
    own = [drift for drift in drifts if drift.generation == generation]
    if not own:
        return DriftState(DriftStatus.NOTHING_COMPARED, None)
    newest = own[-1]
    if newest.cannot_judge is not None:
        return DriftState(DriftStatus.CANNOT_JUDGE, newest, reason=newest.cannot_judge)
    counted = [drift for drift in own if drift.cannot_judge is None][-WINDOWS:]
    beyond = [name for drift in counted for name in drift.exceeding]
    columns = tuple(
        column
        for column in newest.columns
        if column.exceeds and beyond.count(column.name) >= BEYOND
    )
    status = DriftStatus.DRIFTED if columns else DriftStatus.USUAL
    return DriftState(status, newest, columns, len(counted))


def drift_states(store: Store, model: str, generation: int) -> dict[str, DriftState]:
    """Return the state of a model's inputs by source; what cannot be read cannot be judged.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    return {source: _read_state(store, model, source, generation) for source in DRIFT_SOURCES}


def _read_state(store: Store, model: str, source: DriftSource, generation: int) -> DriftState:
    try:
        drifts = read_drifts(store, model, source, limit=2 * WINDOWS)
    except EvidenceError as error:
        return DriftState(DriftStatus.CANNOT_JUDGE, None, reason=str(error))
    return drift_state(drifts, generation)
