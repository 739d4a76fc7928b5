"""How far an input has drifted from the rows that the champion was trained on, in effect sizes."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, get_args

from pydantic import Field

from include.retraining.documents import Document
from include.retraining.runs.manifest import RunManifest
from include.retraining.store.layout import drift_folder, drift_key, profile_key
from include.retraining.store.object_store import Store

DriftSource = Literal["delivery", "scoring"]
"""Whose rows were compared: of a delivery of training data, or of an input that was scored."""
DRIFT_SOURCES: tuple[DriftSource, ...] = get_args(DriftSource)
PREDICTION = "(prediction)"
"""The name under which the predictions themselves are compared."""
MOVED_MOST = 5
"""How many columns are shown."""


class Limits(Document):
    """How much a column may move."""

    index: float
    """Of the population stability index."""
    distance: float
    """Of the Wasserstein distance, in standard deviations of the training rows."""
    missing: float
    """Of the share of missing values, up or down."""
    learned_from: int = 0
    """From how many earlier inputs; 0 for the default limits."""


class Bin(Document):
    """A part of a column's values, to be drawn."""

    label: str
    before: float
    """Share of the training rows."""
    now: float
    """Share of the rows that were compared."""


class ColumnDrift(Document):
    """How far one column has moved."""

    name: str
    index: float
    """The population stability index."""
    distance: float | None
    """The Wasserstein distance in standard deviations of the training rows; null for categories."""
    missing_before: float
    """Share of the training rows."""
    missing: float
    """Share of the rows that were compared."""
    new: float | None = None
    """Share of rows with a category that the training rows did not have; null where that cannot be
    known, as rare categories are not kept."""
    vanished: tuple[str, ...] = ()
    """Categories of the training rows that no row has now."""
    limits: Limits
    movement: float
    """The greatest of the three measures, each less what chance explains, by its limit: above 1, it
    exceeds the limit."""
    bins: tuple[Bin, ...] = ()
    """Of the columns that moved most only."""

    @property
    def exceeds(self) -> bool:
        """Whether the column has moved more than it may."""
        return self.movement > 1


class Drift(Document):
    """How far an input has drifted. Put if absent."""

    format: int = 1
    model: str
    source: DriftSource
    window: str
    """What was compared: the run whose delivery it is, or the partition and its manifest's number.
    Windows of a source are in the order of their names."""
    judged_at: datetime
    version: str
    """Whose training rows it is compared with."""
    generation: int
    """Of the promotion log: the version served since this entry."""
    rows: int
    """The rows that were compared; 0 when none could be."""
    columns: tuple[ColumnDrift, ...] = ()
    """What moved most comes first; the predictions are `PREDICTION`."""
    cannot_judge: str | None = None
    """Why nothing was compared, in a sentence without an end."""
    not_compared: dict[str, str] = Field(default_factory=dict)
    """By column, why it was not compared."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """The SHA-256 of each file that was read, by its name."""

    @property
    def exceeding(self) -> tuple[str, ...]:
        """The columns that have moved more than they may."""
        return tuple(column.name for column in self.columns if column.exceeds)

    @property
    def moved_most(self) -> tuple[ColumnDrift, ...]:
        """The columns that moved most, at most `MOVED_MOST`."""
        return self.columns[:MOVED_MOST]


def is_observed(store: Store, run: RunManifest) -> bool:
    """Return whether a run's version has its profile, and its delivery was compared.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    if not store.exists(profile_key(run.model, run.version)):
        return False
    return run.champion is None or store.exists(drift_key(run.model, "delivery", run.run))


def write_drift(store: Store, drift: Drift) -> Drift:
    """Write what was compared, or adopt what its window has; return what is in the store.

    Raises:
        EvidenceError: when what is in the store cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    key = drift_key(drift.model, drift.source, drift.window)
    store.create(key, drift.to_bytes())
    return Drift.from_bytes(store.read(key), where=key)


def find_drift(store: Store, model: str, source: DriftSource, window: str) -> Drift | None:
    """Return how far one input drifted, None where it was not compared.

    Raises:
        EvidenceError: when it cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    key = drift_key(model, source, window)
    data = store.read_if_present(key)
    return None if data is None else Drift.from_bytes(data, where=key)


def read_drifts(
    store: Store, model: str, source: DriftSource, *, limit: int | None = None
) -> list[Drift]:
    """Return how far a model's inputs of one source drifted, in the order of their windows.

    Args:
        store: with the documents.
        model: whose.
        source: of what.
        limit: how many of the newest; None for all.

    Raises:
        EvidenceError: for one that cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    keys = sorted(info.key for info in store.children(drift_folder(model, source))[1])
    newest = keys if limit is None else keys[-limit:]
    return [Drift.from_bytes(store.read(key), where=key) for key in newest]
