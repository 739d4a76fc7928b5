"""The outbox: messages are written first and sent second, so that none is lost.

The sender of a notice claims it before and marks it afterwards. A try that failed leaves a note of
when to try again. A claim that is old and has neither mark nor note belongs to a sender that died,
and the next sender may claim again. So a message arrives at least once, and twice only when a
sender was killed, or gave up waiting, between the answer of the other side and the mark; both then
carry the same event id.

A notice that was sent is moved out of the way later (`sent_notices`): its mark lies in one of two
places, and for a moment in both, so whoever looks in the first place first never misses it.

A notice may be held (`holding`): it is not sent, and a list that is sent later names it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from include.retraining.documents import Document
from include.retraining.exceptions import EvidenceError, NotSent, StorageError
from include.retraining.formatting.text import truncate
from include.retraining.notifications.announcing import LinksOf, spoken
from include.retraining.notifications.notice import Links, Notice, NoticeKind, alert
from include.retraining.notifications.notice_pieces import (
    SENT,
    Pieces,
    is_held,
    is_moved,
    is_sent,
    piece_key,
    pieces,
    silenced_by,
)
from include.retraining.store.object_store import Store
from include.retraining.store.redaction import redact

CLAIM_SECONDS = 60
"""How old a claim must be before its sender counts as dead; none takes longer than 40 s:
three connections of 10 s each, or as many as are begun within 30 s (`channels.close`)."""
WAITING_SECONDS = 45.0
"""How long waiting notices may hold up their sender, all together."""
FIRST_PAUSE_SECONDS = 30.0
MAX_PAUSE_SECONDS = 15 * 60.0
MAX_RETRY_AFTER_SECONDS = 3600.0
"""A wish of Slack's beyond this is taken for a mistake: a message must not wait for ever."""
PROBLEM_LENGTH = 300
Hold = Callable[[Notice], str | None]
"""Returns the piece that holds a notice; None when it is to be sent."""


class Claim(Document):
    """Says that someone is sending a notice, or has sent it."""

    nonce: str
    """Distinguishes two claims made at the same moment."""
    claimed_at: datetime


class Retry(Document):
    """Says that the try of the same number failed."""

    problem: str
    failed_at: datetime
    again_at: datetime
    """No try before this time."""


def _hold_none(_: Notice) -> None:
    return None


def deliver(
    store: Store,
    notice: Notice,
    send: Callable[[Notice], None],
    *,
    hold: Hold = _hold_none,
) -> bool:
    """Store a notice, claim it, send it and mark it.

    Args:
        store: with the outbox. When it refuses, the notice is sent directly.
        notice: to send.
        send: raises when the message did not arrive; the notice then waits in the outbox. A
            `NotSent` may say how long.
        hold: asked once the notice is stored; what it returns holds the notice.

    Returns:
        False when it was sent before, another is sending it, it is too early to try again, or it is
        held.

    Raises:
        Exception: what ``send`` raised.
    """
    try:
        if is_sent(store, notice.key):
            return False
        store.create(piece_key(notice.key), notice.to_bytes())
        piece = hold(notice)
        if piece is not None:
            store.create(piece_key(notice.key, piece), b"{}\n")
            return False
        number = _claim(store, notice.key)
    except StorageError:
        send(notice)
        return True
    if number is None:
        return False
    try:
        send(notice)
    except Exception as problem:
        _record_retry(store, notice.key, number, problem)
        raise
    mark_sent(store, notice.key)
    return True


def post(store: Store, notice: Notice) -> None:
    """Write a notice down where it cannot be sent from; the next sender takes it.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    store.create(piece_key(notice.key), notice.to_bytes())


def deliver_waiting(
    store: Store,
    send: Callable[[Notice], None],
    *,
    links_of: LinksOf | None = None,
    seconds: float = WAITING_SECONDS,
    listed: Pieces | None = None,
    hold: Hold = _hold_none,
) -> int:
    """Send every notice that was written, is not sent or held, and whose time has come.

    One that cannot be sent does not delay the others, and all together do not hold up the sender:
    what is left when the time is up waits on, and comes first next time, as failed ones pause.
    Announcements are sent once their decision is recorded, and dropped when another was.

    Args:
        store: with the outbox.
        send: as in `deliver`.
        links_of: the links of a message made from an announcement.
        seconds: after which no other is begun.
        listed: what lies in the outbox, where the caller knows it.
        hold: as in `deliver`.

    Returns:
        How many were sent.

    Raises:
        NotSent: when some could not be sent or begun, saying how many and the first problem.
        StorageError: when the outbox cannot be listed.
    """
    sent, left = 0, 0
    problems: list[Exception] = []
    end = time.monotonic() + seconds
    for key in _to_send(pieces(store) if listed is None else listed):
        if time.monotonic() >= end:
            left += 1
            continue
        try:
            if is_moved(store, key):
                continue  # its sender came too late, and another had sent it
            notice = stored_notice(store, key, links_of)
            if notice is None:
                mark_sent(store, key)
            elif not notice.is_announcement:
                sent += deliver(store, notice, send, hold=hold)
        except Exception as problem:  # noqa: BLE001 it is reported below
            problems.append(problem)
    if problems or left:
        late = f", {left} were not begun within {seconds:g} s" if left else ""
        first = f": {_words(problems[0])}" if problems else ""
        raise NotSent(f"{len(problems)} notices could not be sent, {sent} were{late}{first}")
    return sent


def waiting(store: Store) -> Iterator[Notice]:
    """Yield the notices in the outbox that are to be sent and not marked as sent, by name.

    Those that wait for a digest are among them; those that are silenced are not.
    """
    for key in _unmarked(pieces(store)):
        notice = None if is_moved(store, key) else stored_notice(store, key)
        if notice is not None and not notice.is_announcement:
            yield notice


def _unmarked(listed: Pieces) -> list[str]:
    return [
        key
        for key, by_name in listed.items()
        if "" in by_name and SENT not in by_name and silenced_by(by_name) is None
    ]


def _to_send(listed: Pieces) -> list[str]:
    return [key for key in _unmarked(listed) if not is_held(listed[key])]


def last_problem(store: Store, key: str) -> Retry | None:
    """Return why a notice could not be sent when it was tried last; None when no one noted it."""
    return _last_retry(store, key, _tries(store, key))


def stored_notice(store: Store, key: str, links_of: LinksOf | None = None) -> Notice | None:
    """Return a notice of the outbox as `announcing.spoken` does, or one that says it is damaged."""
    try:
        notice = Notice.from_bytes(store.read(piece_key(key)), where=piece_key(key))
        return spoken(store, notice, links_of)
    except EvidenceError as error:  # one damaged notice must not hold the others back
        notice = alert(
            event="outbox",
            kind=NoticeKind.BROKEN,
            key=key,
            title="Alerts",
            model="",
            headline="a notice in the outbox cannot be read",
            why=str(error),
            step=f"What it said is lost. See what happened to `{key.partition('.')[0]}` then.",
            owner=None,
            serving=None,
            links=Links(),
            runbook="outbox",
        )
        return notice.model_copy(update={"key": key})


def _claim(store: Store, key: str) -> int | None:
    """Take the right to send a notice and return the try's number; None when it is not free.

    Whether it was sent is asked last: another sender may have marked it meanwhile, and all of it,
    the claims too, may have been moved since.
    """
    tries = _tries(store, key)
    mine = Claim(nonce=uuid.uuid4().hex, claimed_at=datetime.now(UTC))
    if tries and mine.claimed_at < _free_at(store, key, tries):
        return None
    number = tries + 1
    if not store.create(piece_key(key, f"claim-{number}"), mine.to_bytes()):
        return None
    return None if is_sent(store, key) else number


def _tries(store: Store, key: str) -> int:
    """Return how many times a notice was claimed."""
    number = 0
    while store.exists(piece_key(key, f"claim-{number + 1}")):
        number += 1
    return number


def _free_at(store: Store, key: str, number: int) -> datetime:
    """Return when a claim no longer holds others back."""
    noted = _last_retry(store, key, number)
    if noted is not None:
        return noted.again_at
    try:
        where = piece_key(key, f"claim-{number}")
        claimed_at = Claim.from_bytes(store.read(where), where=where).claimed_at
    except EvidenceError:
        return datetime.min.replace(tzinfo=UTC)  # an unreadable claim does not block
    return claimed_at + timedelta(seconds=CLAIM_SECONDS)


def _last_retry(store: Store, key: str, number: int) -> Retry | None:
    where = piece_key(key, f"retry-{number}")
    data = store.read_if_present(where)
    try:
        return None if data is None else Retry.from_bytes(data, where=where)
    except EvidenceError:
        return None  # then the claim's own age counts


def _record_retry(store: Store, key: str, number: int, problem: Exception) -> None:
    """Note when to try again. That this fails costs a minute, never a message."""
    now = datetime.now(UTC)
    asked = getattr(problem, "retry_after_seconds", None) or 0.0
    pause = max(pause_seconds(number), min(asked, MAX_RETRY_AFTER_SECONDS))
    again_at = now + timedelta(seconds=pause)
    retry = Retry(problem=_words(problem), failed_at=now, again_at=again_at)
    try:
        store.create(piece_key(key, f"retry-{number}"), retry.to_bytes())
    except StorageError:
        return


def pause_seconds(tries: int) -> float:
    """Return how long to wait after so many tries that failed: 30 s, doubled, at most 15 min."""
    return float(min(FIRST_PAUSE_SECONDS * 2 ** min(tries - 1, 10), MAX_PAUSE_SECONDS))


def mark_sent(store: Store, key: str) -> None:
    """Mark a notice as sent. That this fails costs a duplicate, never a message."""
    try:
        mark = Claim(nonce=uuid.uuid4().hex, claimed_at=datetime.now(UTC))
        store.create(piece_key(key, SENT), mark.to_bytes())
    except StorageError:
        return


def _words(problem: Exception) -> str:
    text = str(problem) if isinstance(problem, NotSent) else f"{type(problem).__name__}: {problem}"
    return truncate(redact(text), PROBLEM_LENGTH)
