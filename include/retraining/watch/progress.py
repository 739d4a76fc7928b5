"""How far the watch has got, from one pass to the next, so that a pass costs what is new.

Each object is written by one task of the watch alone, and says what need not be checked again. One
that is missing, damaged or old costs a longer pass and hides nothing: what it lacks is checked.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TypeVar

from pydantic import AwareDatetime, Field

from include.retraining.documents import Document
from include.retraining.exceptions import EvidenceError
from include.retraining.store.layout import CHECKED_MODELS, WATCHED_RUNS, resume_key
from include.retraining.store.object_store import Store
from include.retraining.store.seen import Seen

FULL_CHECK = timedelta(days=1)
"""How often all that a model ever left is checked, whatever is new."""


class ModelRuns(Document):
    """What is known of a model's runs."""

    newest: str | None = None
    """The key of the decision record of the run due last, of those that the watch has seen."""
    run_id: str | None = None
    """The newest run in Airflow that has ended and has its record, as have those before it."""
    clear: int = 0
    """How often that run had been cleared."""
    checked_at: AwareDatetime | None = None
    """When all runs of the model were checked."""


class WatchedRuns(Document):
    """The runs of all models, as `close_dead_runs` left them."""

    models: dict[str, ModelRuns] = Field(default_factory=dict)


class CheckedModel(Document):
    """A model as its last full check found it: while all of this holds, nothing is new."""

    head: Seen | None
    """The newest entry of its promotion log."""
    record: Seen | None
    """The decision record of the run due last."""
    decided: AwareDatetime | None
    """When that run was due or decided, whichever is later."""
    has_problems: bool
    checked_at: AwareDatetime


class CheckedModels(Document):
    """All models, as `check_models` left them."""

    models: dict[str, CheckedModel] = Field(default_factory=dict)
    is_under_way: bool = False
    """Whether a pass has begun and not ended: it may have raised alarms that are not known here."""


class Resume(Document):
    """Where a task goes on that ran out of time."""

    at: str | None
    """The first item that was not handled; None when all were."""


AnyProgress = TypeVar("AnyProgress", WatchedRuns, CheckedModels)


def read_runs(store: Store) -> WatchedRuns:
    """Return what is known of all runs; nothing when that cannot be read."""
    return _read(store, WATCHED_RUNS, WatchedRuns)


def read_checked(store: Store) -> CheckedModels:
    """Return what is known of all models; nothing when that cannot be read."""
    return _read(store, CHECKED_MODELS, CheckedModels)


def _read(store: Store, key: str, kind: type[AnyProgress]) -> AnyProgress:
    data = store.read_if_present(key)
    try:
        return kind() if data is None else kind.from_bytes(data, where=key)
    except EvidenceError:
        return kind()  # then everything is checked once more


class ModelsPass:
    """One pass over all models; that it is under way is stored before it may raise an alarm.

    A pass that was killed may have raised alarms that it did not get to note: the next one then
    checks every model in full.
    """

    def __init__(self, store: Store) -> None:
        """Read what the last pass left."""
        self._store = store
        self._stored = read_checked(store)
        self._lock = Lock()
        self.known = {} if self._stored.is_under_way else self._stored.models
        """The models that need not be checked in full while they are as they were."""

    def begin_full_check(self) -> None:
        """Store that this pass may raise alarms from now on; from several threads at once."""
        with self._lock:
            self._write(self._stored.model_copy(update={"is_under_way": True}))

    def end(self, models: Mapping[str, CheckedModel]) -> None:
        """Store what the next pass compares with."""
        self._write(CheckedModels(models=dict(sorted(models.items()))))

    def _write(self, checked: CheckedModels) -> None:
        write_if_changed(self._store, CHECKED_MODELS, self._stored, checked)
        self._stored = checked


def write_if_changed(store: Store, key: str, before: Document, now: Document) -> None:
    """Replace an object of the watch's own when it says something else."""
    if now != before:
        store.write(key, now.to_bytes())


def is_full_check_due(model: str, checked_at: datetime | None, now: datetime) -> bool:
    """Return whether all that a model ever left is checked in this pass.

    Each model has its own time of the day, so that no pass checks many of them.
    """
    if checked_at is None:
        return True
    shift = timedelta(seconds=zlib.crc32(model.encode()) % int(FULL_CHECK.total_seconds()))
    start = datetime(2020, 1, 1, tzinfo=UTC) + shift
    return checked_at < now - (now - start) % FULL_CHECK


def resumed(store: Store, task: str, names: Sequence[str]) -> list[str]:
    """Return sorted names, those first that the last pass did not get to."""
    key = resume_key(task)
    data = store.read_if_present(key)
    ordered = sorted(names)
    try:
        at = None if data is None else Resume.from_bytes(data, where=key).at
    except EvidenceError:
        at = None
    if at is None:
        return ordered
    return [*(name for name in ordered if name >= at), *(name for name in ordered if name < at)]


def write_resume(store: Store, task: str, at: str | None) -> None:
    """Record where the next pass of a task begins."""
    store.write(resume_key(task), Resume(at=at).to_bytes())
