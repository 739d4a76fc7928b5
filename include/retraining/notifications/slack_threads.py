"""One thread in Slack for each topic: its first message opens it, later ones are replies.

Who opens a thread claims that before and stores the first message's id afterwards, both put if
absent. So of several senders one posts the first message, and the others reply to it, or wait in
the outbox until it is known. A sender that died in between, or got no answer, leaves a claim
without a message: the next one asks Slack whether the message is there after all, and only posts
another where Slack says no or may not be asked. So a topic gets a second thread only then.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from include.retraining.documents import Document
from include.retraining.exceptions import EvidenceError, NotSent, SlackRefused
from include.retraining.formatting.text import truncate
from include.retraining.notifications.notice import Notice, NoticeKind
from include.retraining.notifications.plain_text import first_line
from include.retraining.notifications.slack import message_of
from include.retraining.notifications.slack_api import Found, Posted, SlackChannel, is_gone
from include.retraining.store.layout import THREADS
from include.retraining.store.object_store import Store

OPENING_SECONDS = 60
"""How old a claim must be before its sender counts as dead."""
POLL_SECONDS = 0.25
CLOCK_SECONDS = 300.0
"""How far Slack's clock and that of a sender may differ."""
_FOR_ALL = frozenset({NoticeKind.BROKEN, NoticeKind.WAITING})
"""Kinds whose replies are shown in the channel too: someone must act."""


class Opening(Document):
    """Says that someone is about to post the first message of a thread."""

    key: str
    """Of the notice that opens it."""
    claimed_at: datetime


class Thread(Document):
    """The first message of a topic."""

    format: int = 1
    topic: str
    channel: str
    ts: str
    key: str | None
    """Of the notice that opened it; None where that is unknown."""
    first: str
    """Its first line, escaped for Slack; where it was found again, what it is about."""

    @property
    def posted(self) -> Posted:
        """Its first message."""
        return Posted(self.channel, self.ts)


def send_in_thread(store: Store, channel: SlackChannel, connection: str, notice: Notice) -> None:
    """Send a notice to the thread of its topic, which it opens if there is none.

    An outcome is a reply too; the first message is edited to it by `close_thread`.

    Args:
        store: keeps which message is the first of a topic.
        channel: where to.
        connection: the name of the connection: each has threads of its own.
        notice: to send.

    Raises:
        NotSent: when it did not arrive, or that is unknown.
        StorageError: when the store refuses or does not answer.
    """
    if notice.topic is None:
        channel.post(message_of(notice))
        return
    folder = f"{THREADS}/{notice.topic}.{connection}"
    thread = _read(store, folder)
    if thread is None:
        thread = _open(store, channel, folder, notice.topic, notice)
    if thread is None or thread.key == notice.key:
        return  # it is the first message
    _reply(channel, thread, notice)


def close_thread(store: Store, channel: SlackChannel, connection: str, notice: Notice) -> None:
    """Edit the first message of a topic to its outcome, where there is one that is another.

    Safe to repeat. The arguments are those of `send_in_thread`.

    Raises:
        NotSent: when it was not edited, or that is unknown.
        StorageError: when the store refuses or does not answer.
    """
    thread = _read(store, f"{THREADS}/{notice.topic}.{connection}")
    if thread is not None and thread.key != notice.key:
        _edit_first(channel, thread, notice)


def _open(
    store: Store, channel: SlackChannel, folder: str, topic: str, notice: Notice
) -> Thread | None:
    """Post the first message, or return the thread that another sender opened meanwhile."""
    claims = _claims(store, folder)
    newest = claims[-1] if claims else None
    if newest is not None and newest.key != notice.key and _is_fresh(newest):
        return _opened_by_another(store, channel, folder)
    claim = Opening(key=notice.key, claimed_at=datetime.now(UTC))
    if not store.create(_claim_key(folder, len(claims) + 1), claim.to_bytes()):
        return _opened_by_another(store, channel, folder)
    found = _find(channel, topic, claims)
    if found is None:
        opens = {"topic": topic, "key": notice.key}
        found = Found(channel.post(message_of(notice), opens=opens), notice.key)
    posted, key = found.posted, found.key
    thread = Thread(
        topic=topic,
        channel=posted.channel,
        ts=posted.ts,
        key=key,
        first=truncate(first_line(notice), 300) if key == notice.key else f"event {key}",
    )
    if not store.create(f"{folder}.json", thread.to_bytes()) and key == notice.key:
        return None  # another sender was faster after all: this message stands alone
    return thread


def _opened_by_another(store: Store, channel: SlackChannel, folder: str) -> Thread:
    """Wait until another sender has opened the thread."""
    while time.monotonic() + POLL_SECONDS < channel.end:
        thread = _read(store, folder)
        if thread is not None:
            return thread
        time.sleep(POLL_SECONDS)
    raise NotSent(
        "another message is opening the thread of this one, and Slack has not answered it yet",
        retry_after_seconds=OPENING_SECONDS,
    )


def _edit_first(channel: SlackChannel, thread: Thread, notice: Notice) -> None:
    body = message_of(notice)
    first = f"The thread began with: {thread.first}"
    body["text"] = f"{body['text']}\n{first}"
    for bar in body.get("attachments", ()):
        words = {"type": "mrkdwn", "text": first, "verbatim": True}
        bar["blocks"] = [*bar["blocks"], {"type": "context", "elements": [words]}]
    try:
        channel.edit(thread.posted, body)
    except SlackRefused as problem:
        if not is_gone(problem):
            raise


def _reply(channel: SlackChannel, thread: Thread, notice: Notice) -> None:
    body: dict[str, Any] = message_of(notice)
    try:
        channel.post(body, reply_to=thread.posted, is_for_all=notice.kind in _FOR_ALL)
    except SlackRefused as problem:
        if not is_gone(problem):
            raise
        channel.post(body)  # someone deleted the first message


def _find(channel: SlackChannel, topic: str, claims: Sequence[Opening | None]) -> Found | None:
    """Return the first message that an earlier sender may have posted, and died or had no answer.

    Whose it is the message says: a claim may be that of a sender whose own search failed.
    """
    times = [claim.claimed_at.timestamp() for claim in claims if claim is not None]
    return channel.find(topic, since=min(times) - CLOCK_SECONDS) if times else None


def _claims(store: Store, folder: str) -> list[Opening | None]:
    """Return the claims in their order; None for one that cannot be read: it holds nobody back."""
    claims: list[Opening | None] = []
    while (data := store.read_if_present(where := _claim_key(folder, len(claims) + 1))) is not None:
        try:
            claims.append(Opening.from_bytes(data, where=where))
        except EvidenceError:
            claims.append(None)
    return claims


def _claim_key(folder: str, number: int) -> str:
    return f"{folder}.opening-{number}.json"


def _is_fresh(claim: Opening) -> bool:
    return (datetime.now(UTC) - claim.claimed_at).total_seconds() < OPENING_SECONDS


def _read(store: Store, folder: str) -> Thread | None:
    data = store.read_if_present(f"{folder}.json")
    try:
        return None if data is None else Thread.from_bytes(data, where=f"{folder}.json")
    except EvidenceError:
        return None  # a damaged one costs a second thread, never a message
