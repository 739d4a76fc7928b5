"""Checks that the newest entry and record that the watch saw of a model are still there."""

from __future__ import annotations

from datetime import datetime

from include.retraining.decisions.alarm_state import read_alarm_state
from include.retraining.decisions.chain import as_seen, entries_seen, loss
from include.retraining.exceptions import RegistryError
from include.retraining.registry.entry import PromotionEntry
from include.retraining.store.layout import promotion_key, watch_key
from include.retraining.store.object_store import Store


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
