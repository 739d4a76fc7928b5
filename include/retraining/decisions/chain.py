"""What keeps the newest entry of the promotion log and the decision records from being changed.

An entry holds the digest of the one before it, so nothing in the log says what its newest entry
was. Each decision record does, and the watch: they hold its digest as they saw it. Records hold one
another in the same way, each the two that were written last before it. Two writers at once make a
fork, whose two ends the next record holds.

What a user set aside knowingly (docs/runbooks/promotion_log.md) is not lost: its name lies in
`models/NAME/set-aside/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from include.retraining.decisions.alarm_state import find_alarm_state
from include.retraining.decisions.record import DecisionRecord
from include.retraining.documents import sha256_of
from include.retraining.exceptions import EvidenceError, RegistryError
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.layout import decisions_folder, promotion_key
from include.retraining.store.object_store import Store
from include.retraining.store.seen import Seen

HELD_BY_EACH = 2
"""How many records a record holds: a second writer at the same moment is not forgotten."""


def newest_records(store: Store, model: str) -> list[Seen]:
    """Return the decision records, or corrections of one, that were written last, newest first."""
    listed = store.children(decisions_folder(model))[1]
    listed.sort(key=lambda info: (info.last_modified, info.key), reverse=True)
    records = (as_seen(store, info.key) for info in listed[:HELD_BY_EACH])
    return [one for one in records if one is not None]


def newest_entry(store: Store, model: str, records: Iterable[Seen]) -> Seen | None:
    """Return the newest entry of the promotion log for a record to hold; None of an empty log.

    What the records before saw and is lost is held on: a record must not cover up a loss.
    """
    known = max(entries_seen(store, records), key=lambda seen: seen.key, default=None)
    if known is not None and loss(store, known) is not None:
        return known
    try:
        head = PromotionLog(store, model).head()
    except RegistryError:  # the log itself says what is wrong with it
        return known
    return as_seen(store, promotion_key(model, head)) if head else None


def require_newest_entry(store: Store, model: str) -> None:
    """Refuse to go on from a promotion log that lacks an entry which records or the watch saw.

    Raises:
        RegistryError: naming the entry.
    """
    seen = [*entries_seen(store, newest_records(store, model))]
    known = find_alarm_state(store, f"models/{model}")
    if known is not None and known.head is not None:
        seen.append(known.head)
    for one in dict.fromkeys(seen):
        lost = loss(store, one)
        if lost is not None:
            raise RegistryError(lost)


def as_seen(store: Store, key: str) -> Seen | None:
    """Return an object as it is now, or None when there is none."""
    data = store.read_if_present(key)
    return None if data is None else Seen(key=key, sha256=sha256_of(data))


def loss(store: Store, seen: Seen) -> str | None:
    """Return what became of an object that is not as it was seen; None when it is.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    now = as_seen(store, seen.key)
    if now == seen or store.exists(_set_aside(seen.key)):
        return None
    what = "it is missing" if now is None else "it was altered"
    return (
        f"{store.uri}/{seen.key}: {what} since it was seen with the SHA-256 {seen.sha256[:12]}…: "
        "bring it back as it was (docs/runbooks/promotion_log.md)"
    )


def _set_aside(key: str) -> str:
    folder, _, name = key.rpartition("/")
    return f"{folder.rpartition('/')[0]}/set-aside/{name}"


def entries_seen(store: Store, records: Iterable[Seen]) -> Iterator[Seen]:
    """Yield the entries that records hold as the newest; a record that is damaged holds none."""
    for one in records:
        data = store.read_if_present(one.key)
        try:
            record = DecisionRecord.from_bytes(data or b"", where=one.key)
        except EvidenceError:
            continue
        if record.log_head is not None:
            yield record.log_head
