"""The columns of a champion's inputs that moved most since it was trained, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from include.pages.charts import paired_bars
from include.retraining.exceptions import RetrainingError
from include.retraining.history.overview import sentence_of
from include.retraining.monitoring.drift import (
    DRIFT_SOURCES,
    ColumnDrift,
    Drift,
    DriftSource,
    read_drifts,
)
from include.retraining.registry.entry import PromotionEntry
from include.retraining.store.object_store import Store

WORDS: dict[DriftSource, str] = {
    "delivery": "the newest delivery",
    "scoring": "the newest input that was scored",
}


@dataclass(frozen=True)
class ComparedInput:
    """The newest input of one source."""

    words: str
    """What it is."""
    drift: Drift | None
    columns: Sequence[tuple[ColumnDrift, Markup]] = ()
    """What moved most comes first."""
    problem: str | None = None
    """Why it is not known how far it moved."""


def compared_inputs(
    store: Store, model: str, champion: PromotionEntry | None
) -> list[ComparedInput]:
    """Return the newest input of each source that was compared with the champion.

    Args:
        store: best a `CachingStore`.
        model: its name.
        champion: what serves; what was compared with an earlier version is not shown.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    if champion is None:
        return []
    newest = (_newest(store, model, source, champion) for source in DRIFT_SOURCES)
    return [compared for compared in newest if compared is not None]


def _newest(
    store: Store, model: str, source: DriftSource, champion: PromotionEntry
) -> ComparedInput | None:
    try:
        drifts = read_drifts(store, model, source, limit=1)
    except RetrainingError as error:
        return ComparedInput(WORDS[source], None, problem=sentence_of(error))
    drift = next((one for one in drifts if one.generation == champion.generation), None)
    if drift is None:
        return None
    columns = [(moved, _drawn(moved)) for moved in drift.moved_most]
    return ComparedInput(WORDS[source], drift, columns, drift.cannot_judge)


def _drawn(moved: ColumnDrift) -> Markup:
    return paired_bars(
        [(part.label, part.before, part.now) for part in moved.bins],
        f"{moved.name}: share of the training rows, and now, by value",
    )
