"""Checks that the newest entry and record that the watch saw of a model are still there."""

from __future__ import annotations

from datetime import datetime

from include.retraining.decisions.alarm_state import read_alarm_state
from include.retraining.decisions.chain import as_seen, entries_seen, loss
from include.retraining.documents import sha256_of
from include.retraining.exceptions import EvidenceError, RegistryError
from include.retraining.registry.entry import PromotionEntry
from include.retraining.store.layout import promotion_key, watch_key
from include.retraining.store.object_store import Store
from include.retraining.store.seen import Seen


def check_and_record_newest(
    store: Store,
    model: str,
    *,
    champion: PromotionEntry | None,
    newest: str | None,
    now: datetime,
) -> str | None:
    """Compare what the watch saw last with what is stored, and record the newest.

    Args:
        store: with the model.
        model: its name.
        champion: the newest entry of its log.
        newest: the key of the decision record of the run that was due last.
        now: the time.

    Returns:
        What became of the record that was the newest, where it is not as it was.

    Raises:
        RegistryError: when an entry is not as the watch, or the newest record, saw it.
    """
    place = f"models/{model}"
    before = read_alarm_state(store, place, now=now)
    record = None if newest is None else as_seen(store, newest)
    for one in dict.fromkeys((before.head, *entries_seen(store, [record] if record else []))):
        lost = one and loss(store, one)
        if lost is not None:
            raise RegistryError(lost)
    if before.record is not None:
        lost = loss(store, before.record)
        if lost is not None:
            return lost
    head = None
    if champion is not None:
        head = as_seen(store, promotion_key(model, champion.generation))
    if (head, record) != (before.head, before.record):
        changed = before.model_copy(update={"head": head, "record": record})
        store.write(watch_key(place), changed.to_bytes())
    return None


def champion_if_same(
    store: Store, model: str, head: Seen | None
) -> tuple[bool, PromotionEntry | None]:
    """Return whether the newest entry of a log is the one that was seen, and that entry.

    Two requests, however long the log is. Whether older entries are as they were is not asked.

    Args:
        store: with the log.
        model: whose.
        head: the newest entry as it was seen; None of an empty log.
    """
    generation = 0 if head is None else int(head.key.removesuffix(".json").rpartition("/")[2])
    if store.exists(promotion_key(model, generation + 1)):
        return False, None
    if head is None:
        return True, None
    data = store.read_if_present(head.key)
    if data is None or sha256_of(data) != head.sha256:
        return False, None
    try:
        return True, PromotionEntry.from_bytes(data, where=head.key)
    except EvidenceError:
        return False, None


def is_as_seen(store: Store, seen: Seen | None) -> bool:
    """Return whether an object is as it was seen; true where none was."""
    return seen is None or as_seen(store, seen.key) == seen
