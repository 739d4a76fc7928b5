"""Silences: for a while, no message of a kind is sent about a model.

An entry is written once and never edited: one begins a silence, another may end several early. A
notice that is silenced stays in the outbox, and is listed in one message once the silence is over
(`listing`). No silence lasts longer than `MAX_HOURS`: what is wrong is not forgotten for ever.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from include.retraining.approval.reason import checked_reason
from include.retraining.config.notice_kind import NoticeKind
from include.retraining.documents import Document
from include.retraining.exceptions import EvidenceError, NotFound, ParameterError
from include.retraining.formatting.times import utc_minute
from include.retraining.store.layout import SILENCES
from include.retraining.store.object_store import Store

MAX_HOURS = 14 * 24
"""The longest silence: two weeks."""
MAX_DELAY = timedelta(days=1)
"""How long after it was asked for a silence may still be made: what is older is asked for anew."""


class Silence(Document):
    """An entry: that a silence begins, or that others end."""

    format: int = 1
    id: str = Field(pattern=r"^[0-9]{8}T[0-9]{6}-[0-9a-f]{12}$")
    """The name of its file; the piece that holds a notice names it too."""
    action: Literal["begin", "end"]
    model: str
    kind: NoticeKind
    until: AwareDatetime | None
    """When it is over by itself; None for an end."""
    ends: tuple[str, ...] = ()
    """The ids of those that an end ends: what one worker began is not compared with the clock of
    another."""
    reason: str
    actor: str
    request: str
    """What asked for it, `DAG_ID/RUN_ID`: the same for every try."""
    created_at: AwareDatetime

    @model_validator(mode="after")
    def _lasts_as_long_as_one_may(self) -> Self:
        if (self.until is None) != (self.action == "end"):
            raise ValueError("a silence that begins has an `until`, and an end has none")
        if self.until and self.until - self.created_at > timedelta(hours=MAX_HOURS):
            raise ValueError(f"it lasts longer than {MAX_HOURS} hours")
        return self

    @property
    def words(self) -> str:
        """The silence in a sentence's part: what, until when, by whom and why."""
        until = "" if self.until is None else f" until {utc_minute(self.until)}"
        return (
            f"messages of the kind {self.kind.value} about {self.model} are silenced{until} by "
            f"{self.actor} ({self.reason.rstrip('. ')})"
        )


def begin_silence(
    store: Store,
    model: str,
    kind: NoticeKind,
    *,
    hours: int,
    reason: str,
    actor: str,
    request: str,
    due: datetime,
) -> Silence:
    """Write that a silence begins now, unless this request wrote it before; return the entry.

    Args:
        store: keeps it.
        model: whose messages.
        kind: of the messages.
        hours: how long it lasts, from 1 to `MAX_HOURS`.
        reason: why, on one line and without secrets.
        actor: who asked.
        request: names what asked for it.
        due: when that was; the entry's name begins with it.

    Raises:
        ParameterError: when the time is out of bounds, or it was asked for too long ago.
        RegistryError: when the reason or the actor is not acceptable.
        StorageError: when the store refuses or does not answer.
    """
    if isinstance(hours, bool) or not 1 <= hours <= MAX_HOURS:
        raise ParameterError(
            f"hours: must be a whole number from 1 to {MAX_HOURS} (two weeks), is {hours}"
        )
    now = datetime.now(UTC)
    entry = Silence(
        id=_id(request, due),
        action="begin",
        model=model,
        kind=kind,
        until=now + timedelta(hours=hours),
        reason=checked_reason(actor, reason),
        actor=actor,
        request=request,
        created_at=now,
    )
    return _append(store, entry, due)


def end_silence(
    store: Store,
    model: str,
    kind: NoticeKind,
    *,
    reason: str,
    actor: str,
    request: str,
    due: datetime,
) -> Silence:
    """Write that all silences of a model and kind end now; return the entry.

    The arguments are those of `begin_silence`.

    Raises:
        NotFound: when there is none to end.
        ParameterError: when it was asked for too long ago.
        RegistryError: when the reason or the actor is not acceptable.
        StorageError: when the store refuses or does not answer.
    """
    before = find_silence(store, _id(request, due))
    if before is not None:
        return before
    checked = checked_reason(actor, reason)
    lasting = [one.id for one in open_silences(store) if (one.model, one.kind) == (model, kind)]
    if not lasting:
        raise NotFound(f"no message of the kind {kind.value} about {model} is silenced")
    entry = Silence(
        id=_id(request, due),
        action="end",
        model=model,
        kind=kind,
        until=None,
        ends=tuple(lasting),
        reason=checked,
        actor=actor,
        request=request,
        created_at=datetime.now(UTC),
    )
    return _append(store, entry, due)


def open_silences(store: Store, *, now: datetime | None = None) -> list[Silence]:
    """Return the silences that last, the newest first.

    One listing, and one request for each entry of the last two weeks. An entry that cannot be read
    silences nothing.

    Args:
        store: the store.
        now: the time.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    now = now or datetime.now(UTC)
    oldest = now - timedelta(hours=MAX_HOURS) - MAX_DELAY - timedelta(hours=1)
    listed = store.between(SILENCES, after=f"{SILENCES}/{oldest:%Y%m%dT%H%M%S}")
    entries = [entry for info in listed if (entry := _read(store, info.key)) is not None]
    ended = {silence_id for entry in entries for silence_id in entry.ends}
    lasting = [
        entry
        for entry in entries
        if entry.until is not None and entry.until > now and entry.id not in ended
    ]
    return sorted(lasting, key=lambda entry: entry.created_at, reverse=True)


def covering(silences: list[Silence], model: str, kind: NoticeKind) -> Silence | None:
    """Return the one of several silences that lasts longest for a model and kind; None without."""
    fitting = [one for one in silences if one.model == model and one.kind is kind]
    return max(fitting, key=lambda one: one.until or one.created_at, default=None)


def find_silence(store: Store, silence_id: str) -> Silence | None:
    """Return an entry by its id; None when there is none that can be read."""
    return _read(store, f"{SILENCES}/{silence_id}.json")


def entry_of(store: Store, request: str, due: datetime) -> Silence | None:
    """Return the entry that a request wrote; None when it wrote none that can be read.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    return find_silence(store, _id(request, due))


def _append(store: Store, entry: Silence, due: datetime) -> Silence:
    key = f"{SILENCES}/{entry.id}.json"
    if entry.created_at - due > MAX_DELAY and not store.exists(key):
        raise ParameterError(
            f"it was asked for at {utc_minute(due)}, more than a day ago: trigger it anew"
        )
    if store.create(key, entry.to_bytes()):
        return entry
    return Silence.from_bytes(store.read(key), where=key)


def _read(store: Store, key: str) -> Silence | None:
    data = store.read_if_present(key)
    try:
        entry = None if data is None else Silence.from_bytes(data, where=key)
    except EvidenceError:
        return None  # what cannot be read must hold no message back
    # An entry under another name is as one that cannot be read: nothing that names it finds it.
    return entry if entry is not None and key == f"{SILENCES}/{entry.id}.json" else None


def _id(request: str, due: datetime) -> str:
    """Return an entry's name: a listing is in time order, and another try finds its own."""
    digest = hashlib.sha256(request.encode()).hexdigest()[:12]
    return f"{due.astimezone(UTC):%Y%m%dT%H%M%S}-{digest}"
