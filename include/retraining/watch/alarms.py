"""An alarm is sent once when it is raised, and once more when it is over.

Raised alarms are stored before they are sent, so that a watch that is killed between the two sends
the same notice again under the same key, which the outbox delivers once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from include.retraining.decisions.alarm_state import AlarmState, RaisedAlarm, read_alarm_state
from include.retraining.formatting.times import utc_minute
from include.retraining.notifications.notice import Links, Notice, NoticeKind, alert
from include.retraining.store.layout import watch_key
from include.retraining.store.object_store import Store

NOWHERE = Links()


@dataclass(frozen=True)
class Alarm:
    """Something that is wrong now and needs someone's attention."""

    condition: str
    """The condition's identifier: it is raised once for as long as it lasts."""
    title: str
    """The model's title, or what else the alarm is about."""
    headline: str
    why: str
    step: str
    """The one next step."""
    over: str
    """The headline when it is over."""
    runbook: str
    model: str = ""
    owner: str | None = None
    serving: str | None = None
    links: Links = NOWHERE


def update_alarms(
    store: Store,
    place: str,
    alarms: Collection[Alarm],
    notify: Callable[[Notice], None],
    *,
    checked: Collection[str],
    now: datetime | None = None,
    links: Links = NOWHERE,
) -> None:
    """Notify of new alarms and of those that are over; the others were sent before.

    Only one process at a time may do this for a place.

    Args:
        store: keeps what is raised.
        place: `models/NAME`, or `airflow`.
        alarms: all that is wrong now.
        notify: delivers a notice through the outbox; called again at each check while the alarm
            lasts, with the same key.
        checked: the conditions that could be checked; the others stay as they were.
        now: the time, for tests.
        links: where a message that something is over leads.
    """
    now = now or datetime.now(UTC)
    before = read_alarm_state(store, place, now=now)
    wrong = {alarm.condition: alarm for alarm in alarms}
    going_on = {
        name: raised
        for name, raised in before.raised.items()
        if not raised.is_over and (name in wrong or name not in checked)
    }
    ended = {
        name: raised.model_copy(update={"is_over": True})
        for name, raised in before.raised.items()
        if name not in going_on
    }
    begun = {
        name: RaisedAlarm(since=now, model=alarm.model, title=alarm.title, over=alarm.over)
        for name, alarm in wrong.items()
        if name not in going_on
    }
    if ended:  # sent before the same condition may be raised again
        _keep(store, place, before, {**going_on, **ended})
        for name, raised in ended.items():
            notify(_over(place, name, raised, links))
    if ended or begun:
        _keep(store, place, before, {**going_on, **begun})
    for name, raised in {**going_on, **begun}.items():
        if name in wrong:
            notify(_notice(place, wrong[name], raised))


def _keep(store: Store, place: str, before: AlarmState, raised: dict[str, RaisedAlarm]) -> None:
    kept = before.model_copy(update={"raised": raised})
    store.write(watch_key(place), kept.to_bytes())


def _notice(place: str, alarm: Alarm, raised: RaisedAlarm) -> Notice:
    return alert(
        event=alarm.condition,
        kind=NoticeKind.BROKEN,
        key=_name(place, alarm.condition, raised),
        title=alarm.title,
        model=alarm.model,
        headline=alarm.headline,
        why=alarm.why,
        step=alarm.step,
        owner=alarm.owner,
        serving=alarm.serving,
        links=alarm.links,
        runbook=alarm.runbook,
        topic=_name(place, alarm.condition, raised),
    )


def _over(place: str, condition: str, raised: RaisedAlarm, links: Links) -> Notice:
    return alert(
        event=f"{condition}_over",
        kind=NoticeKind.GOOD_NEWS,
        key=f"{_name(place, condition, raised)}.over",
        title=raised.title,
        model=raised.model,
        headline=raised.over,
        why=f"It was raised at {utc_minute(raised.since)}.",
        step="Nothing to do.",
        owner=None,
        serving=None,
        links=links,
        runbook="",
        topic=_name(place, condition, raised),
        is_outcome=True,
    )


def _name(place: str, condition: str, raised: RaisedAlarm) -> str:
    about = place.rpartition("/")[2]
    return f"{about}.{condition}.{raised.since.astimezone(UTC):%Y%m%dT%H%M%S}"
