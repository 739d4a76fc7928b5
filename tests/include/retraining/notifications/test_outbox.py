"""The outbox: no message is lost, and none is sent twice."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from include.retraining.exceptions import NotSent, StorageError
from include.retraining.notifications.notice import Notice
from include.retraining.notifications.outbox import (
    CLAIM_SECONDS,
    Claim,
    Retry,
    deliver,
    deliver_waiting,
    last_problem,
    pause_seconds,
    waiting,
)
from include.retraining.store.object_store import Store
from tests.support.run_factory import MODEL


def make_notice(key: str = "toy.run.000.promoted", *, at: datetime | None = None) -> Notice:
    """A notice, as another caller would make it."""
    return Notice(
        key=key, event="promoted", model=MODEL, text=f"text of {key}", created_at=at or _now()
    )


def _now() -> datetime:
    return datetime.now(UTC)


def old_claim() -> bytes:
    """The claim of a sender that died a while ago."""
    claimed_at = _now() - timedelta(seconds=CLAIM_SECONDS + 1)
    return Claim(nonce="dead", claimed_at=claimed_at).to_bytes()


def refuse(notice: Notice) -> None:
    """A Slack that does not answer."""
    raise ConnectionError("refused")


@pytest.mark.fault("H06")
def test_a_notice_is_sent_once(store: Store) -> None:
    """Told again, by whoever, it is not sent again (H06)."""
    sent: list[Notice] = []
    assert deliver(store, make_notice(), sent.append)
    for _ in range(3):
        assert not deliver(store, make_notice(), sent.append)
    assert len(sent) == 1
    assert list(waiting(store)) == []


@pytest.mark.fault("H06")
def test_eight_senders_send_once(store: Store) -> None:
    """Eight callbacks that tell the same event at once send one message."""
    sent: list[Notice] = []
    barrier = threading.Barrier(8)

    def tell(_: int) -> bool:
        barrier.wait()
        return deliver(store, make_notice(), sent.append)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(tell, range(8))) == 1
    assert len(sent) == 1


def let_time_pass(store: Store, notice: Notice, number: int = 1) -> None:
    """Make the time to try again come."""
    now = _now() - timedelta(seconds=1)
    retry = Retry(problem="refused", failed_at=now, again_at=now)
    store.write(f"outbox/{notice.key}.retry-{number}.json", retry.to_bytes())


@pytest.mark.fault("H01")
def test_what_slack_refused_waits(store: Store) -> None:
    """What Slack refused stays in the outbox, is not tried too early, and arrives once."""
    notice = make_notice()
    with pytest.raises(ConnectionError):
        deliver(store, notice, refuse)
    assert list(waiting(store)) == [notice]
    problem = last_problem(store, notice.key)
    assert problem is not None
    assert problem.problem == "ConnectionError: refused"
    assert problem.again_at - problem.failed_at == timedelta(seconds=30)
    sent: list[Notice] = []
    assert deliver_waiting(store, sent.append) == 0  # its time has not come
    let_time_pass(store, notice)
    assert deliver_waiting(store, sent.append) == 1
    assert sent == [notice]
    assert deliver_waiting(store, sent.append) == 0
    assert list(waiting(store)) == []


def test_pauses_grow_to_a_quarter_of_an_hour() -> None:
    """The first try again is after 30 s, then each pause is twice as long, up to 15 min."""
    assert [pause_seconds(tries) for tries in range(1, 8)] == [30, 60, 120, 240, 480, 900, 900]
    assert pause_seconds(100_000) == 900


@pytest.mark.fault("H02")
@pytest.mark.parametrize(("asked", "waits"), [(5.0, 30.0), (120.0, 120.0), (1e9, 3600.0)])
def test_slacks_wish_to_wait_is_honoured(folder: Store, asked: float, waits: float) -> None:
    """Nobody tries before Retry-After; a wish beyond an hour is taken for a mistake."""

    def rate_limited(notice: Notice) -> None:
        raise NotSent("Slack answered 429", retry_after_seconds=asked)

    notice = make_notice()
    with pytest.raises(NotSent):
        deliver(folder, notice, rate_limited)
    problem = last_problem(folder, notice.key)
    assert problem is not None
    assert (problem.again_at - problem.failed_at).total_seconds() == waits


def test_one_that_cannot_be_sent_holds_no_other_back(folder: Store) -> None:
    """The others are sent, and how many were not is said with the first problem."""
    for key in ("a", "b", "c"):
        folder.create(f"outbox/{key}.json", make_notice(key).to_bytes())
    sent: list[str] = []

    def picky(notice: Notice) -> None:
        if notice.key == "a":
            raise NotSent("Slack answered 500: https://hooks.slack.com/services/T0/B0/canary")
        sent.append(notice.key)

    with pytest.raises(NotSent, match=r"1 notices could not be sent, 2 were: Slack answered 500"):
        deliver_waiting(folder, picky)
    assert sent == ["b", "c"]
    assert "canary" not in folder.read("outbox/a.retry-1.json").decode()


def test_a_sender_that_is_killed_leaves_no_note(folder: Store) -> None:
    """Its claim holds the others back for a minute, then the next one sends."""
    notice = make_notice()

    def killed(notice: Notice) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deliver(folder, notice, killed)
    assert last_problem(folder, notice.key) is None
    sent: list[Notice] = []
    assert deliver_waiting(folder, sent.append) == 0
    folder.write(f"outbox/{notice.key}.claim-1.json", old_claim())
    assert deliver_waiting(folder, sent.append) == 1


def test_a_dead_claim_is_taken_over_once(store: Store) -> None:
    """Of eight that find a dead sender's claim, one sends."""
    notice = make_notice()
    store.create(f"outbox/{notice.key}.json", notice.to_bytes())
    store.create(f"outbox/{notice.key}.claim-1.json", old_claim())
    sent: list[Notice] = []
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: deliver_waiting(store, sent.append), range(8)))
    assert sent == [notice]


def test_a_claim_that_dies_again_is_taken_over_again(folder: Store) -> None:
    """The third sender follows two that died."""
    notice = make_notice()
    folder.create(f"outbox/{notice.key}.json", notice.to_bytes())
    for number in (1, 2):
        folder.create(f"outbox/{notice.key}.claim-{number}.json", old_claim())
    sent: list[Notice] = []
    assert deliver(folder, notice, sent.append)
    assert folder.exists(f"outbox/{notice.key}.claim-3.json")


def test_an_unreadable_claim_holds_nobody_back(folder: Store) -> None:
    """A damaged claim counts as dead."""
    notice = make_notice()
    folder.create(f"outbox/{notice.key}.json", notice.to_bytes())
    folder.create(f"outbox/{notice.key}.claim-1.json", b"{")
    sent: list[Notice] = []
    assert deliver_waiting(folder, sent.append) == 1


class MarkingStore(Store):
    """A store in which the sender before marks the notice just as the next one claims."""

    def create(self, key: str, data: bytes) -> bool:
        """Mark the notice before the second claim is put."""
        if key.endswith(".claim-2.json"):
            super().create(key.replace(".claim-2", ".sent"), data)
        return super().create(key, data)


def test_a_mark_at_the_last_moment_counts(folder: Store) -> None:
    """A slow sender that marks while the next one claims is not followed by a duplicate."""
    notice = make_notice()
    folder.create(f"outbox/{notice.key}.json", notice.to_bytes())
    folder.create(f"outbox/{notice.key}.claim-1.json", old_claim())
    assert not deliver(MarkingStore(folder.uri, {}), notice, refuse)


class RefusingStore(Store):
    """A store that refuses to be written to."""

    refused: str = ""

    def create(self, key: str, data: bytes) -> bool:
        """Refuse some keys."""
        if key.endswith(self.refused):
            raise StorageError(f"{key}: the store refuses")
        return super().create(key, data)


@pytest.mark.parametrize("refused", ["promoted.json", ".claim-1.json", ".sent.json"])
def test_a_store_that_refuses_delays_no_message(folder: Store, refused: str) -> None:
    """When the outbox cannot be written the message is sent directly."""
    store = RefusingStore(folder.uri, {})
    store.refused = refused
    sent: list[Notice] = []
    assert deliver(store, make_notice(), sent.append)
    assert len(sent) == 1


def test_a_damaged_notice_holds_nothing_back(folder: Store) -> None:
    """A notice that cannot be read is told as such, and the others are delivered."""
    folder.create("outbox/a.json", b"{")
    notice = make_notice("b")
    folder.create("outbox/b.json", notice.to_bytes())
    folder.create("outbox/readme.txt", b"not a notice")
    sent: list[Notice] = []
    assert deliver_waiting(folder, sent.append) == 2
    assert "a notice in the outbox cannot be read" in sent[0].text
    assert "outbox/a.json" in sent[0].text
    assert sent[1] == notice


@pytest.mark.fault("H03")
def test_a_hundred_that_wait_share_one_time_limit(folder: Store) -> None:
    """Slack that does not answer holds the watch once, not once for each message; none is lost."""
    for number in range(100):
        folder.create(f"outbox/m{number:03d}.json", make_notice(f"m{number:03d}").to_bytes())
    tried: list[str] = []

    def hang(notice: Notice) -> None:
        tried.append(notice.key)
        time.sleep(0.05)
        raise NotSent("Slack did not answer in time")

    with pytest.raises(
        NotSent, match=r"not be sent, 0 were, \d+ were not begun within 0.2 s: Slack"
    ):
        deliver_waiting(folder, hang, seconds=0.2)
    assert 1 <= len(tried) < 10
    sent: list[Notice] = []
    assert deliver_waiting(folder, sent.append) == 100 - len(tried)
    assert not {notice.key for notice in sent} & set(tried)
