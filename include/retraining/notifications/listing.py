"""One message that lists notices which were held: a digest of a flood, or what was silenced.

The list is a notice of its own in the outbox, written first and sent second, and it names what it
lists. Once it was sent, those are marked as sent. A process that is killed in between leaves a list
that is found again by its key, and only marks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from include.retraining.exceptions import EvidenceError, NotSent
from include.retraining.formatting.text import in_words
from include.retraining.notifications.announcing import LinksOf
from include.retraining.notifications.notice import Links, Notice, alert
from include.retraining.notifications.notice_pieces import (
    FLOODED,
    SENT,
    Pieces,
    is_sent,
    piece_key,
    silenced_by,
)
from include.retraining.notifications.outbox import deliver, mark_sent, stored_notice
from include.retraining.notifications.plain_text import first_line, place_of
from include.retraining.notifications.silences import (
    Silence,
    covering,
    find_silence,
    open_silences,
)
from include.retraining.store.layout import OUTBOX, OUTBOX_SENT
from include.retraining.store.object_store import Store

DIGEST_AFTER = timedelta(minutes=2)
"""How long the first of a digest waits for others."""
MAX_LINES = 60
"""How many are shown; the stored list names all."""
_SECTION_LENGTH = 2800
"""Slack refuses a section of more than 3,000 characters."""
Send = Callable[[Notice], None]
ChannelOf = Callable[[Notice], str]
"""Names the channel of a notice: only those of one channel are listed together."""


@dataclass(frozen=True)
class _Held:
    """Notices that one message is to list, the oldest first."""

    notices: Sequence[Notice]
    silence: Silence | None = None


def send_lists(
    store: Store,
    listed: Pieces,
    send: Send,
    channel_of: ChannelOf,
    *,
    links_of: LinksOf | None = None,
    now: datetime | None = None,
) -> int:
    """List the held notices whose time has come, and mark them as sent; return how many.

    Args:
        store: with the outbox.
        listed: what lies there.
        send: as in `outbox.deliver`.
        channel_of: names the channel of a notice.
        links_of: the links of a message made from an announcement.
        now: the time.

    Raises:
        NotSent: at the end, when a list could not be sent: it waits, and what it lists with it.
        StorageError: when the store refuses or does not answer.
    """
    now = now or datetime.now(UTC)
    groups = [
        *_of_floods(store, listed, channel_of, links_of, now),
        *_of_silences(store, listed, channel_of, links_of),
    ]
    settled = 0
    problems: list[NotSent] = []
    for held in groups:
        try:
            settled += _send_list(store, held, send)
        except NotSent as problem:  # it holds no other list back
            problems.append(problem)
    if problems:
        raise NotSent(f"{len(problems)} lists of messages could not be sent: {problems[0]}")
    return settled


def _of_floods(
    store: Store, listed: Pieces, channel_of: ChannelOf, links_of: LinksOf | None, now: datetime
) -> Iterator[_Held]:
    flooded = {
        key: by_name[FLOODED].last_modified
        for key, by_name in listed.items()
        if FLOODED in by_name and "" in by_name and SENT not in by_name
        if silenced_by(by_name) is None
    }
    if not flooded or min(flooded.values()) > now - DIGEST_AFTER:
        return
    by_group: dict[tuple[str, str], list[Notice]] = {}
    for notice in _notices(store, sorted(flooded, key=lambda key: (flooded[key], key)), links_of):
        by_group.setdefault((notice.event, channel_of(notice)), []).append(notice)
    for notices in by_group.values():
        yield _Held(notices)


def _of_silences(
    store: Store, listed: Pieces, channel_of: ChannelOf, links_of: LinksOf | None
) -> Iterator[_Held]:
    by_silence: dict[str, list[str]] = {}
    for key, by_name in listed.items():
        silence_id = silenced_by(by_name) if "" in by_name else None
        if silence_id is not None:
            by_silence.setdefault(silence_id, []).append(key)
    if not by_silence:
        return
    lasting = open_silences(store)
    for silence_id, keys in by_silence.items():
        silence = find_silence(store, silence_id)
        if silence is not None and covering(lasting, silence.model, silence.kind) is not None:
            continue
        in_order = sorted(keys, key=lambda key: (listed[key][""].last_modified, key))
        by_channel: dict[str, list[Notice]] = {}
        for notice in _notices(store, in_order, links_of):
            by_channel.setdefault(channel_of(notice), []).append(notice)
        for notices in by_channel.values():
            yield _Held(notices, silence)


def _notices(store: Store, keys: Iterable[str], links_of: LinksOf | None) -> Iterator[Notice]:
    """Yield the held notices that are still to be sent; those that never will be are marked."""
    for key in keys:
        if is_sent(store, key):
            mark_sent(store, key)
            continue
        notice = stored_notice(store, key, links_of)
        if notice is None:
            mark_sent(store, key)
        elif not notice.is_announcement:
            yield notice


def _send_list(store: Store, held: _Held, send: Send) -> int:
    """Send one list, and return how many notices it settled."""
    if len(held.notices) == 1 and held.silence is None:
        return int(deliver(store, held.notices[0], send))
    message = _list_of(held)
    known = _stored_list(store, message.key) or message
    if not deliver(store, known, send) and not is_sent(store, known.key):
        return 0  # another process sends it, or its time has not come
    for key in known.lists:
        mark_sent(store, key)
    return len(known.lists)


def _stored_list(store: Store, key: str) -> Notice | None:
    """Return a list that an earlier process wrote: what was in it is what was sent."""
    for folder in (OUTBOX, OUTBOX_SENT):
        data = store.read_if_present(piece_key(key, folder=folder))
        if data is not None:
            with suppress(EvidenceError):  # a damaged one is replaced by a notice that says so
                return Notice.from_bytes(data, where=key)
    return None


def _list_of(held: _Held) -> Notice:
    """Return the message about held notices."""
    base = _digest(held.notices) if held.silence is None else _silenced(held.notices, held.silence)
    count = len(held.notices)
    lines = [_line(notice) for notice in held.notices[:MAX_LINES]]
    if count > MAX_LINES:
        lines.append(f"… and {count - MAX_LINES} more: `outbox/{base.key}.json` names all")
    text, mark = base.text.rsplit("\n", 1)
    return base.model_copy(
        update={
            "text": "\n".join([text, *lines, mark]),
            "blocks": (*base.blocks[:2], *_sections(lines), *base.blocks[2:]),
            "lists": tuple(notice.key for notice in held.notices),
        }
    )


def _digest(notices: Sequence[Notice]) -> Notice:
    first, count = notices[0], len(notices)
    return alert(
        event="digest",
        kind=first.kind,
        key=_key(f"list-{first.event}", first),
        title=f"{count} messages",
        model=first.model,
        headline=f"{count} more messages alike: {in_words(first.event)}",
        why="More than the limit came within an hour, so these are listed in one message.",
        step="Look for one cause of all of them. Each lies in the store's outbox, whole.",
        owner=None,
        serving=None,
        links=Links(),
        runbook="flood",
    )


def _silenced(notices: Sequence[Notice], silence: Silence) -> Notice:
    first = notices[0]
    return alert(
        event="silenced",
        kind=first.kind,
        key=_key("list-silenced", first),
        title="Silence",
        model=first.model,
        headline=f"{len(notices)} message(s) were silenced",
        why=f"The silence is over: {silence.words}.",
        step="Read the list: what is still wrong was not sent before. Each lies in the outbox.",
        owner=None,
        serving=None,
        links=Links(),
        runbook="silenced",
    )


def _key(prefix: str, first: Notice) -> str:
    """Return a list's key: another process that lists the same from the first on finds it."""
    return f"{prefix}.{hashlib.sha256(first.key.encode()).hexdigest()[:12]}1"


def _line(notice: Notice) -> str:
    place = place_of(notice)
    return f"• {first_line(notice)}{f' {place}' if place else ''}"


def _sections(lines: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the lines as sections of Block Kit that Slack does not refuse."""
    chunk: list[str] = []
    for line in [*(one[:_SECTION_LENGTH] for one in lines), ""]:
        if chunk and (not line or sum(map(len, chunk)) + len(chunk) + len(line) > _SECTION_LENGTH):
            text = {"type": "mrkdwn", "text": "\n".join(chunk), "verbatim": True}
            yield {"type": "section", "text": text}
            chunk = []
        chunk.append(line)
