"""Notices that were sent move out of the way, so that the outbox holds what waits.

A move may be interrupted at any point and is then done again. The mark that a notice was sent is
copied first and removed last, so at each moment one of the two says that it was sent, and no
process sends it again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from include.retraining.exceptions import MissingObject
from include.retraining.notifications.notice_pieces import (
    SENT,
    is_held,
    is_moved,
    piece_key,
    pieces,
)
from include.retraining.store.layout import OUTBOX, OUTBOX_SENT
from include.retraining.store.object_store import ObjectInfo, Store

MOVE_AFTER = timedelta(hours=1)
"""How long a notice lies where it was sent from, for senders that come late."""


def movable(store: Store, *, now: datetime | None = None) -> dict[str, list[str]]:
    """Return, by key, the pieces of the notices in the outbox that may have to be moved.

    Raises:
        StorageError: when the outbox cannot be listed.
    """
    before = (now or datetime.now(UTC)) - MOVE_AFTER
    return {
        key: list(by_name)
        for key, by_name in pieces(store).items()
        if not _is_held(by_name) and (SENT not in by_name or by_name[SENT].last_modified < before)
    }


def _is_held(by_name: Mapping[str, ObjectInfo]) -> bool:
    """Return whether a notice waits for a list: until it is marked, it cannot have been moved."""
    return "" in by_name and SENT not in by_name and is_held(by_name)


def move_sent(store: Store, key: str, names: Collection[str]) -> bool:
    """Move what lies in the outbox of a notice that was sent; False when it was not.

    Args:
        store: with the outbox.
        key: the notice's.
        names: its pieces there.

    Raises:
        StorageError: when the store refuses or does not answer: call again.
    """
    if SENT in names:
        mark = store.read_if_present(piece_key(key, SENT))
        if mark is not None:  # else another pass was faster
            store.create(piece_key(key, SENT, folder=OUTBOX_SENT), mark)
    if not is_moved(store, key):
        return False
    for piece in sorted(names, key=SENT.__eq__):  # the mark comes last
        data = store.read_if_present(piece_key(key, piece))
        if data is not None:
            store.create(piece_key(key, piece, folder=OUTBOX_SENT), data)
            _remove(store, piece_key(key, piece))
    return True


def _remove(store: Store, key: str) -> None:
    with suppress(MissingObject):  # another pass was faster
        store.delete(key)


def sent_before(store: Store, before: datetime) -> Iterator[ObjectInfo]:
    """Yield all that is left of the notices that were sent before a time, each one's mark last.

    Until its mark is gone, a notice is not sent again by any process.
    """
    for folder in (OUTBOX, OUTBOX_SENT):
        for by_name in pieces(store, folder).values():
            mark = by_name.pop(SENT, None)
            if mark is not None and mark.last_modified < before:
                yield from (*by_name.values(), mark)
