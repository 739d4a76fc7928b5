"""Sent notices move out of the way, and none is sent a second time for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.retraining.exceptions import StorageError
from include.retraining.notifications.notice import Notice
from include.retraining.notifications.outbox import (
    deliver,
    deliver_waiting,
    is_sent,
    pieces,
    post,
    waiting,
)
from include.retraining.notifications.sent_notices import MOVE_AFTER, movable, move_sent
from include.retraining.store.layout import OUTBOX, OUTBOX_SENT
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.include.retraining.notifications.test_outbox import make_notice, refuse
from tests.support.counting_store import CountingStore


def later() -> datetime:
    """A moment at which what was sent just now is moved."""
    return datetime.now(UTC) + MOVE_AFTER + timedelta(seconds=5)


def move_all(store: Store) -> None:
    """Move what may be moved then."""
    for key, found in movable(store, now=later()).items():
        move_sent(store, key, found)


def names(store: Store, folder: str) -> list[str]:
    """Return the names of the objects directly in a folder."""
    return [info.key.removeprefix(f"{folder}/") for info in store.children(folder)[1]]


def sent(store: Store, number: int = 1) -> Notice:
    """Send a notice."""
    notice = make_notice(f"toy.{number}.promoted")
    assert deliver(store, notice, lambda _: None)
    return notice


def test_a_notice_that_was_sent_is_moved_with_all_it_left(store: Store) -> None:
    """Not at once: a sender that comes late finds it where it was."""
    notice = sent(store)
    left = names(store, OUTBOX)
    assert list(movable(store)) == []
    move_all(store)
    assert names(store, OUTBOX) == []
    assert names(store, OUTBOX_SENT) == left
    assert not deliver(store, notice, refuse)
    assert names(store, OUTBOX) == []


def test_what_waits_is_not_moved(store: Store) -> None:
    """However old it is."""
    post(store, make_notice())
    move_all(store)
    assert [notice.key for notice in waiting(store)] == [make_notice().key]


def test_a_notice_that_is_posted_again_after_it_was_moved_waits_for_nobody(store: Store) -> None:
    """It is neither shown as waiting nor sent, and moves to the others."""
    notice = sent(store)
    move_all(store)
    post(store, notice)
    assert list(waiting(store)) == []
    assert deliver_waiting(store, refuse) == 0
    move_all(store)
    assert names(store, OUTBOX) == []


class Interrupted(Store):
    """A store whose user is killed before the change of a number."""

    left = 10**6

    def _change(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise StorageError("killed")

    def create(self, key: str, data: bytes) -> bool:
        """Put, while there is time."""
        self._change()
        return super().create(key, data)

    def delete(self, key: str) -> None:
        """Remove, while there is time."""
        self._change()
        super().delete(key)


@pytest.mark.parametrize("changes", range(9))
def test_a_move_that_is_interrupted_anywhere_is_done_again(
    folder_store: Store, changes: int
) -> None:
    """At no moment does anybody take the notice for one that waits."""
    store = Interrupted(initialise(folder_store.uri, {}).uri)
    notice = make_notice()
    store.create(f"{OUTBOX}/{notice.key}.claim-1.json", b"{")  # unreadable: it holds nobody back
    assert deliver(store, notice, lambda _: None)
    store.left = changes  # of nine
    with pytest.raises(StorageError, match="killed"):
        move_all(store)
    store.left = 10**6
    assert is_sent(store, notice.key)
    assert list(waiting(store)) == []
    assert not deliver(store, notice, refuse)
    assert deliver_waiting(store, refuse) == 0
    move_all(store)
    assert names(store, OUTBOX) == []
    assert pieces(store, OUTBOX_SENT)[notice.key].keys() == {"", "claim-1", "claim-2", "sent"}


class MovingStore(Store):
    """A store in which another process sends, marks and moves a notice while this one claims it."""

    is_armed = False

    def create(self, key: str, data: bytes) -> bool:
        """Let the other be faster by all of it, at the last moment."""
        if self.is_armed and ".claim-" in key:
            self.is_armed = False
            other = Store(self.uri)
            deliver(other, make_notice(), lambda _: None)
            move_all(other)
        return super().create(key, data)


def test_a_sender_that_claims_what_was_moved_meanwhile_sends_nothing(folder_store: Store) -> None:
    """All claims are gone by then, so that its own is the first again."""
    store = MovingStore(initialise(folder_store.uri, {}).uri)
    store.is_armed = True
    assert not deliver(store, make_notice(), refuse)
    assert deliver_waiting(store, refuse) == 0
    move_all(store)
    assert names(store, OUTBOX) == []


def test_the_outbox_costs_what_waits_however_many_were_sent(folder_store: Store) -> None:
    """Requests of a pass do not grow with what was sent."""
    store = CountingStore(initialise(folder_store.uri, {}).uri)
    costs = []
    for last in (2, 30):
        for number in range(last - 2, last):
            sent(store, number)
        move_all(store)
        store.counts.clear()
        assert deliver_waiting(store, refuse) == 0
        assert list(movable(store)) == []
        costs.append(dict(store.counts))
    assert costs == [{"LIST": 2}] * 2
