"""The check of a model's promotion log, of the versions that served and of its records."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from include.retraining.decisions.chain import loss
from include.retraining.decisions.record import DecisionRecord
from include.retraining.exceptions import (
    ArtifactError,
    EvidenceError,
    MissingObject,
    NotFound,
    RegistryError,
    StoreNotInitialised,
    StoreRefused,
)
from include.retraining.registry.promotion_log import ENTRY_NAME, PromotionLog
from include.retraining.registry.promotion_rules import checked_version
from include.retraining.runs.manifest import Serving
from include.retraining.store.layout import decisions_folder
from include.retraining.store.object_store import Store
from include.retraining.store.seen import Seen

_READERS = 8


@dataclass(frozen=True)
class LogCheck:
    """What a check of a model's promotion log and versions found."""

    model: str
    champion: Serving | None
    """None when nothing serves, and when the log is unreadable."""
    entries: int
    """How many can be read."""
    versions: int
    """Distinct versions whose files were checked."""
    records: int | None
    """Decision records that were checked, with what they hold of the log and of one another; None
    for who may not read them, as one who only serves."""
    problems: tuple[str, ...]


def verify(store: Store, model: str) -> LogCheck:
    """Check the log, the versions that ever served and the records, and raise for none.

    What is damaged hides nothing else: all that can be read is checked.

    Raises:
        NotFound: for what is no model's name.
        StorageError: when the store refuses or does not answer.
    """
    log = PromotionLog(store, model)
    try:
        entries, problems = log.examine()
    except StoreNotInitialised as error:
        return LogCheck(model, None, 0, 0, 0, (str(error),))
    champion = None
    with suppress(RegistryError):  # it is one of the problems
        champion = log.serving()
    served = {entry.version: entry for entry in entries}
    for entry in served.values():
        try:
            checked_version(store, model, entry.version, entry.version_digest)
        except (ArtifactError, EvidenceError, NotFound, MissingObject) as error:
            problems.append(f"version {entry.version}: {error}")
    records, damaged = _examine_if_allowed(store, model)
    named = {problem.partition(": ")[0] for problem in problems}
    problems += [one for one in damaged if one.partition(": ")[0] not in named]
    strangers = [name for name in log.names() if not ENTRY_NAME.fullmatch(name)]
    problems += [f"{log.folder}/{name} is not an entry of the log" for name in strangers]
    return LogCheck(model, champion, len(entries), len(served), records, tuple(problems))


def _examine_if_allowed(store: Store, model: str) -> tuple[int | None, list[str]]:
    try:
        return examine_records(store, model)
    except StoreRefused:  # the log and the versions could be read: it is this right that lacks
        return None, []


def examine_records(store: Store, model: str) -> tuple[int, list[str]]:
    """Read every decision record; return how many there are and all that is wrong with them.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    keys = [info.key for info in store.children(decisions_folder(model))[1]]
    problems: dict[str, None] = {}
    held: set[Seen] = set()
    with ThreadPoolExecutor(max_workers=_READERS) as pool:
        for key, data in zip(keys, pool.map(store.read_if_present, keys), strict=True):
            try:
                record = DecisionRecord.from_bytes(data or b"", where=f"{store.uri}/{key}")
            except EvidenceError as error:
                problems[str(error)] = None
            else:
                held.update(_held_by(record))
        for lost in pool.map(lambda seen: loss(store, seen), sorted(held, key=lambda s: s.key)):
            if lost is not None:
                problems[lost] = None
    return len(keys), list(problems)


def _held_by(record: DecisionRecord) -> Iterator[Seen]:
    yield from record.after
    if record.log_head is not None:
        yield record.log_head
