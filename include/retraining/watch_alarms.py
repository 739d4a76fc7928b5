"""What lasts is told once: when it begins, and again when it is over.

What is raised is kept in the store before anybody is told, so that a watch that is killed between
the two tells the same again under the same key, which the outbox sends once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import Field

from include.retraining.documents import Document
from include.retraining.exceptions import EvidenceError
from include.retraining.layout import watch_key
from include.retraining.notices import Kind, Links, Notice, alert
from include.retraining.seen import Seen
from include.retraining.storage import Store

NOWHERE = Links()


@dataclass(frozen=True)
class Alarm:
    """Something that is wrong now, and that someone must see to."""

    condition: str
    """What is wrong, in a word: it is raised once for as long as it lasts."""
    title: str
    """What people call the model, or what else this is about."""
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


class Raised(Document):
    """An alarm that people were told of."""

    since: datetime
    model: str
    title: str
    over: str
    is_over: bool = False
    """It is over, and people are being told."""


class Watched(Document):
    """What one place of the watch knows from its last look."""

    format: int = 1
    since: datetime
    """When it was looked at first: what was due before is not its matter."""
    raised: dict[str, Raised] = Field(default_factory=dict)
    head: Seen | None = None
    """Of a model: the newest entry of its promotion log (`chain.remember_newest`)."""
    record: Seen | None = None
    """Of a model: the decision record of the run that was due last."""


def find_watched(store: Store, place: str) -> Watched | None:
    """Return what is known of a place; None where nothing is, or it cannot be read."""
    key = watch_key(place)
    data = store.read_if_present(key)
    try:
        return None if data is None else Watched.from_bytes(data, where=key)
    except EvidenceError:
        return None  # a damaged file is replaced: what still is wrong is told a second time


def watched(store: Store, place: str, *, now: datetime) -> Watched:
    """Return what is known of a place; that it is watched from now on, at the first look.

    Args:
        store: the store.
        place: `models/NAME`, or `airflow`.
        now: the time.
    """
    known = find_watched(store, place)
    if known is not None:
        return known
    fresh = Watched(since=now)
    store.write(watch_key(place), fresh.to_bytes())
    return fresh


def settle(
    store: Store,
    place: str,
    alarms: Collection[Alarm],
    tell: Callable[[Notice], None],
    *,
    looked_at: Collection[str],
    now: datetime | None = None,
    links: Links = NOWHERE,
) -> None:
    """Tell what is newly wrong, and what is over; what goes on was told before.

    Only one process at a time may do this for a place.

    Args:
        store: keeps what is raised.
        place: `models/NAME`, or `airflow`.
        alarms: all that is wrong now.
        tell: delivers a notice through the outbox; called again at each look for as long as it is
            wrong, with the same key.
        looked_at: the conditions that could be looked at; the others stay as they were.
        now: the time, for tests.
        links: where a message that something is over leads.
    """
    now = now or datetime.now(UTC)
    before = watched(store, place, now=now)
    wrong = {alarm.condition: alarm for alarm in alarms}
    going_on = {
        name: raised
        for name, raised in before.raised.items()
        if not raised.is_over and (name in wrong or name not in looked_at)
    }
    ended = {
        name: raised.model_copy(update={"is_over": True})
        for name, raised in before.raised.items()
        if name not in going_on
    }
    begun = {
        name: Raised(since=now, model=alarm.model, title=alarm.title, over=alarm.over)
        for name, alarm in wrong.items()
        if name not in going_on
    }
    if ended:  # told before the same may begin anew under its name
        _keep(store, place, before, {**going_on, **ended})
        for name, raised in ended.items():
            tell(_over(place, name, raised, links))
    if ended or begun:
        _keep(store, place, before, {**going_on, **begun})
    for name, raised in {**going_on, **begun}.items():
        if name in wrong:
            tell(_notice(place, wrong[name], raised))


def _keep(store: Store, place: str, before: Watched, raised: dict[str, Raised]) -> None:
    kept = before.model_copy(update={"raised": raised})
    store.write(watch_key(place), kept.to_bytes())


def _notice(place: str, alarm: Alarm, raised: Raised) -> Notice:
    return alert(
        event=alarm.condition,
        kind=Kind.BROKEN,
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
    )


def _over(place: str, condition: str, raised: Raised, links: Links) -> Notice:
    return alert(
        event=f"{condition}_over",
        kind=Kind.GOOD_NEWS,
        key=f"{_name(place, condition, raised)}.over",
        title=raised.title,
        model=raised.model,
        headline=raised.over,
        why=f"It was raised at {raised.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC.",
        step="Nothing to do.",
        owner=None,
        serving=None,
        links=links,
        runbook="",
    )


def _name(place: str, condition: str, raised: Raised) -> str:
    about = place.rpartition("/")[2]
    return f"{about}.{condition}.{raised.since.astimezone(UTC):%Y%m%dT%H%M%S}"
