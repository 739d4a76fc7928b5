"""What the watch records about a model, or about Airflow, from one check to the next.

It lies below the watch because a decision reads it too: what the watch saw of the promotion log
must still be there before a run promotes (`chain`).
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
    """An alarm that was sent."""

    since: datetime
    model: str
    title: str
    over: str
    is_over: bool = False
    """It is over, and that is being sent."""


class AlarmState(Document):
    """The alarms of a model or of Airflow, and what the last check saw."""

    format: int = 1
    since: datetime
    """When it was checked first: what was due before is ignored."""
    raised: dict[str, RaisedAlarm] = Field(default_factory=dict)
    head: Seen | None = None
    """Of a model: the newest entry of its promotion log (`newest_seen`)."""
    record: Seen | None = None
    """Of a model: the decision record of the run that was due last."""


def find_alarm_state(store: Store, place: str) -> AlarmState | None:
    """Return the alarm state of a place; None where there is none, or it cannot be read."""
    key = watch_key(place)
    data = store.read_if_present(key)
    try:
        return None if data is None else AlarmState.from_bytes(data, where=key)
    except EvidenceError:
        return None  # a damaged file is replaced: what is still wrong is sent a second time


def read_alarm_state(store: Store, place: str, *, now: datetime) -> AlarmState:
    """Return the alarm state of a place; a new one, stored, at the first check.

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
