"""What an outcome changes beside its own message: it resolves incidents and edits first messages.

That is a notice of its own in the outbox, the outcome's closing, which is claimed, tried again and
marked like any other. So a message never waits for another channel, a held one closes too, and what
failed is done later. The outcomes of a topic are kept beside its threads, by which a message that
comes late knows that its topic has ended.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress

from include.retraining.exceptions import EvidenceError, StorageError
from include.retraining.notifications.notice import Notice
from include.retraining.notifications.outbox import post
from include.retraining.store.layout import THREADS
from include.retraining.store.object_store import Store


def begin_closing(store: Store, outcome: Notice) -> None:
    """Keep a topic's outcome, and write its closing down; nothing for any other notice.

    Args:
        store: with the outbox.
        outcome: a notice that says how its topic ended.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    if outcome.topic is None or not outcome.is_outcome or outcome.closes is not None:
        return
    digest = hashlib.sha256(outcome.key.encode()).hexdigest()[:12]
    store.create(f"{_ended(outcome.topic)}-{digest}.json", outcome.to_bytes())
    post(store, _closing_of(outcome))


def close_again(store: Store, outcome: Notice, *, after: Notice) -> None:
    """Have a topic closed once more, after a message that came late. That it fails costs an edit.

    Args:
        store: with the outbox.
        outcome: the topic's newest.
        after: the message.
    """
    closing = _closing_of(outcome)
    digest = hashlib.sha256(after.key.encode()).hexdigest()[:12]
    with suppress(StorageError):
        post(store, closing.model_copy(update={"key": f"{closing.key}-{digest}"}))


def newer_outcome(store: Store, notice: Notice) -> Notice | None:
    """Return the newest outcome of a notice's topic that was written after the notice.

    None when there is none, and when the store does not say: no message is held back by that.

    Args:
        store: with the outbox.
        notice: a message, an outcome, or its closing.
    """
    if notice.topic is None:
        return None
    found: list[Notice] = []
    ended = _ended(notice.topic)
    with suppress(StorageError):
        for info in store.between(THREADS, after=f"{ended}-", before=f"{ended}."):
            with suppress(EvidenceError):
                found.append(Notice.from_bytes(store.read(info.key), where=info.key))
    own_key = notice.closes or notice.key
    newer = [one for one in found if one.created_at > notice.created_at and one.key != own_key]
    return max(newer, key=lambda one: one.created_at, default=None)


def _closing_of(outcome: Notice) -> Notice:
    return outcome.model_copy(update={"key": f"{outcome.key}.closing", "closes": outcome.key})


def _ended(topic: str) -> str:
    return f"{THREADS}/{topic}.ended"
