"""What the watch remembers of a model, or of Airflow, from one look to the next.

It lies below the watch because a decision asks it too: what the watch saw of the promotion log must
still be there before a run promotes (`chain`).
"""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from include.retraining.documents import Document
from include.retraining.exceptions import EvidenceError
from include.retraining.store.layout import watch_key
from include.retraining.store.object_store import Store
from include.retraining.store.seen import Seen


class RaisedAlarm(Document):
    """An alarm that people were told of."""

    since: datetime
    model: str
    title: str
    over: str
    is_over: bool = False
    """It is over, and people are being told."""


class AlarmState(Document):
    """What one place of the watch knows from its last look."""

    format: int = 1
    since: datetime
    """When it was looked at first: what was due before is not its matter."""
    raised: dict[str, RaisedAlarm] = Field(default_factory=dict)
    head: Seen | None = None
    """Of a model: the newest entry of its promotion log (`newest_seen`)."""
    record: Seen | None = None
    """Of a model: the decision record of the run that was due last."""


def find_alarm_state(store: Store, place: str) -> AlarmState | None:
    """Return what is known of a place; None where nothing is, or it cannot be read."""
    key = watch_key(place)
    data = store.read_if_present(key)
    try:
        return None if data is None else AlarmState.from_bytes(data, where=key)
    except EvidenceError:
        return None  # a damaged file is replaced: what still is wrong is told a second time


def read_alarm_state(store: Store, place: str, *, now: datetime) -> AlarmState:
    """Return what is known of a place; that it is watched from now on, at the first look.

    Args:
        store: the store.
        place: `models/NAME`, or `airflow`.
        now: the time.
    """
    known = find_alarm_state(store, place)
    if known is not None:
        return known
    fresh = AlarmState(since=now)
    store.write(watch_key(place), fresh.to_bytes())
    return fresh
