"""Summaries of all models of a store, and of one in full.

Damage of one model never raises here: what cannot be read becomes a sentence beside what can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from include.retraining.decisions.alarm_state import AlarmState, RaisedAlarm
from include.retraining.decisions.record import DecisionRecord
from include.retraining.decisions.record_files import (
    newest_decision_keys,
    newest_listing,
    read_record,
)
from include.retraining.decisions.records import corrected_by_log
from include.retraining.exceptions import EvidenceError, RetrainingError
from include.retraining.formatting.text import truncate
from include.retraining.history.undone import undone_by
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.layout import promotion_key, watch_key
from include.retraining.store.object_store import ObjectInfo, Store
from include.retraining.store.redaction import redact

T = TypeVar("T")
Item = TypeVar("Item")

_WATCH = "watch/models"
PROBLEM_LENGTH = 400
READERS = 16
"""How many models or records are read at once: a bucket answers late, and to many at a time."""


@dataclass(frozen=True)
class Unreadable:
    """An object that is there and cannot be read."""

    key: str
    why: str


@dataclass(frozen=True)
class ModelSummary:
    """The summary of one model. What could not be read is missing, and in ``problems``."""

    model: str
    entries: tuple[PromotionEntry, ...] = ()
    """The promotion log, the entry that serves first, as far back as was asked for."""
    promotion: PromotionEntry | None = None
    """The entry that put the champion in service: its time is since when."""
    hold: PromotionEntry | None = None
    """The rollback that holds automatic promotion."""
    newest: DecisionRecord | None = None
    """The decision of the run that was due last."""
    undone: PromotionEntry | None = None
    """The rollback that took back what that decision promoted."""
    raised: dict[str, RaisedAlarm] = field(default_factory=dict)
    """What the watch has raised and not yet seen to be over, by its condition."""
    problems: tuple[str, ...] = ()
    is_log_read: bool = True
    """Whether the promotion log could be read; without entries, it then has none."""

    @property
    def champion(self) -> PromotionEntry | None:
        """The entry that serves."""
        return self.entries[0] if self.entries else None


class OverviewCache:
    """The summary of each model, for as long as nothing in its folders changes."""

    def __init__(self) -> None:
        """Start empty."""
        self._seen: dict[tuple[str, str, int], tuple[tuple[ObjectInfo, ...], ModelSummary]] = {}

    def get(self, store: Store, model: str, *, entries: int) -> ModelSummary:
        """Return the summary of one model.

        Args:
            store: a `CachingStore`, which lists a folder once.
            model: its name.
            entries: how many entries of its promotion log to read, the newest first.
        """
        place = (store.uri, model, entries)
        try:
            now = _listing(store, model)
        except RetrainingError as error:
            return ModelSummary(model, problems=(sentence_of(error),), is_log_read=False)
        before, seen = self._seen.get(place, (None, None))
        if seen is None or before != now:
            seen = summarize_model(store, model, entries=entries)
            if not seen.problems:  # which may be gone the next time
                self._seen[place] = (now, seen)
        return seen


def summarize_models(
    store: Store, names: Iterable[str], *, entries: int, cache: OverviewCache
) -> list[ModelSummary]:
    """Return the summary of each model.

    Args:
        store: a `CachingStore`.
        names: the models.
        entries: how many entries of each promotion log to read, the newest first.
        cache: kept from one call to the next.

    Raises:
        StorageError: when the store refuses to list, or does not answer.
    """
    store.children(_WATCH)  # so that a model without alarms costs no extra request
    return read_all(lambda name: cache.get(store, name, entries=entries), names)


def summarize_model(store: Store, model: str, *, entries: int) -> ModelSummary:
    """Return the summary of one model."""
    problems: list[str] = []
    log = _of_log(store, model, entries, problems)
    is_log_read = not problems
    newest = _tried(lambda: _newest(store, model), problems)
    undone = None if newest is None else _tried(lambda: undone_by(store, newest), problems)
    raised = _tried(lambda: _raised(store, model), problems)
    return ModelSummary(
        model=model,
        entries=log[0],
        promotion=log[1],
        hold=log[2],
        newest=newest,
        undone=undone,
        raised=raised or {},
        problems=tuple(dict.fromkeys(problems)),
        is_log_read=is_log_read,
    )


def recent_decisions(
    store: Store, model: str, *, limit: int, before: str | None = None
) -> tuple[list[DecisionRecord | Unreadable], str | None]:
    """Return a model's decisions, that of the run due last first.

    Args:
        store: best a `CachingStore`.
        model: whose.
        limit: at most so many.
        before: only those that come after this key in that order.

    Returns:
        The decisions, and the key to go on behind, None when there are no more.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    keys = list(islice(newest_decision_keys(store, model, before=before), limit + 1))
    shown = keys[:limit]
    decisions = read_all(lambda key: read_decision(store, key), shown)
    return decisions, shown[-1] if len(keys) > limit else None


def read_decision(store: Store, key: str) -> DecisionRecord | Unreadable:
    """Return a decision as the promotion log confirms it, or why it cannot be read."""
    try:
        record = read_record(store, key)
        if record is None:
            return Unreadable(key, "it is not there")
        return corrected_by_log(store, record)
    except RetrainingError as error:
        return Unreadable(key, sentence_of(error).removeprefix(f"{key}: "))


def read_all(read: Callable[[Item], T], items: Iterable[Item]) -> list[T]:
    """Read several things at once, in their order."""
    with ThreadPoolExecutor(max_workers=READERS) as pool:
        return list(pool.map(read, items))


def sentence_of(error: Exception) -> str:
    """Return an error in one line that may be shown."""
    return truncate(redact(str(error)), PROBLEM_LENGTH)


def _listing(store: Store, model: str) -> tuple[ObjectInfo, ...]:
    """Return the listings of all objects that a model's summary is made from."""
    key = watch_key(f"models/{model}")
    return (
        *store.objects(promotion_key(model, 0).rpartition("/")[0]),
        *newest_listing(store, model),
        *(info for info in store.children(_WATCH)[1] if info.key == key),
    )


def _of_log(
    store: Store, model: str, entries: int, problems: list[str]
) -> tuple[tuple[PromotionEntry, ...], PromotionEntry | None, PromotionEntry | None]:
    """Return the newest entries, the one that put the champion in service, and the hold."""
    try:
        log = PromotionLog(store, model)
        newest = tuple(islice(log.newest_first(), entries))
        if not newest:
            return (), None, None
        return newest, log.promotion_of(newest[0]), log.hold() if newest[0].is_held else None
    except RetrainingError as error:
        problems.append(sentence_of(error))
        return (), None, None


def _newest(store: Store, model: str) -> DecisionRecord | None:
    key = next(newest_decision_keys(store, model), None)
    record = None if key is None else read_decision(store, key)
    if isinstance(record, Unreadable):
        raise EvidenceError(f"{record.key}: {record.why}")
    return record


def _raised(store: Store, model: str) -> dict[str, RaisedAlarm]:
    key = watch_key(f"models/{model}")
    data = store.read_if_present(key)
    if data is None:
        return {}
    watched = AlarmState.from_bytes(data, where=key)
    return {name: raised for name, raised in watched.raised.items() if not raised.is_over}


def _tried(read: Callable[[], T], problems: list[str]) -> T | None:
    try:
        return read()
    except RetrainingError as error:
        problems.append(sentence_of(error))
        return None
