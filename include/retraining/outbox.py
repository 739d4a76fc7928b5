"""The outbox: messages are written first and sent second, so that none is lost.

Whoever sends a notice claims it before and marks it afterwards; a claim that is old and not marked
belongs to a sender that died, and the next sender may claim again. So a message arrives at least
once, and twice only when a sender was killed between the answer of the other side and the mark;
both then carry the same event id.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from include.retraining.documents import Document
from include.retraining.exceptions import EvidenceError, StorageError
from include.retraining.layout import OUTBOX
from include.retraining.notices import Notice, escaped
from include.retraining.storage import Store

CLAIM_SECONDS = 60
_NOTICE_NAME = re.compile(r"(?P<key>.+?)(?:\.claim-(?P<claim>[0-9]+)|\.(?P<sent>sent))?\.json")


class Claim(Document):
    """Says that someone is sending a notice, or has sent it."""

    nonce: str
    """Tells two who claim at the same moment apart."""
    claimed_at: datetime


def deliver(store: Store, notice: Notice, send: Callable[[Notice], None]) -> bool:
    """Write a notice down, claim it, send it and mark it.

    Args:
        store: with the outbox. When it refuses, the notice is sent directly.
        notice: what to say.
        send: raises when the message did not arrive; the notice then stays in the outbox.

    Returns:
        False when it was sent before, or another is sending it.
    """
    try:
        store.create(_key(notice.key), notice.to_bytes())
        is_mine = _claim(store, notice.key)
    except StorageError:
        send(notice)
        return True
    if not is_mine:
        return False
    send(notice)
    _mark(store, notice.key)
    return True


def deliver_waiting(store: Store, send: Callable[[Notice], None]) -> int:
    """Send every notice that was written, is not sent, and that nobody is sending.

    Returns:
        How many were sent.
    """
    return sum(deliver(store, notice, send) for notice in list(waiting(store)))


def waiting(store: Store) -> Iterator[Notice]:
    """Yield the notices in the outbox that are not marked as sent, oldest name first."""
    names = [info.key.removeprefix(f"{OUTBOX}/") for info in store.children(OUTBOX)[1]]
    found = [match for name in names if (match := _NOTICE_NAME.fullmatch(name))]
    sent = {match["key"] for match in found if match["sent"]}
    for match in found:
        if match["claim"] is None and match["sent"] is None and match["key"] not in sent:
            yield _stored(store, match["key"])


def _stored(store: Store, key: str) -> Notice:
    try:
        return Notice.from_bytes(store.read(_key(key)), where=_key(key))
    except EvidenceError as error:  # one damaged notice must not hold the others back
        text = f":rotating_light: a notice in the outbox cannot be read: {escaped(str(error))}"
        return Notice(key=key, event="broken", model="", text=text, created_at=datetime.now(UTC))


def _claim(store: Store, key: str) -> bool:
    """Take the right to send a notice; a claim that is old and not marked does not count."""
    if store.exists(_key(key, "sent")):
        return False
    number = 1
    while store.exists(_key(key, f"claim-{number}")):
        number += 1
    mine = Claim(nonce=uuid.uuid4().hex, claimed_at=datetime.now(UTC))
    patience = timedelta(seconds=CLAIM_SECONDS)
    if number > 1 and mine.claimed_at - _claimed_at(store, key, number - 1) < patience:
        return False
    if not store.create(_key(key, f"claim-{number}"), mine.to_bytes()):
        return False
    # The sender before may have marked it while this one claimed.
    return number == 1 or not store.exists(_key(key, "sent"))


def _claimed_at(store: Store, key: str, number: int) -> datetime:
    try:
        where = _key(key, f"claim-{number}")
        return Claim.from_bytes(store.read(where), where=where).claimed_at
    except EvidenceError:
        return datetime.min.replace(tzinfo=UTC)  # an unreadable claim holds nobody back


def _mark(store: Store, key: str) -> None:
    """Mark a notice as sent. That this fails costs a duplicate, never a message."""
    try:
        mark = Claim(nonce=uuid.uuid4().hex, claimed_at=datetime.now(UTC))
        store.create(_key(key, "sent"), mark.to_bytes())
    except StorageError:
        return


def _key(key: str, suffix: str = "") -> str:
    return f"{OUTBOX}/{key}{'.' if suffix else ''}{suffix}.json"
