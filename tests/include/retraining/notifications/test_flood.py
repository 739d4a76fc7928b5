"""Many messages that say the same become one that lists them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from include.retraining.config.notice_kind import NoticeKind
from include.retraining.exceptions import NotSent
from include.retraining.notifications import listing
from include.retraining.notifications.flood import alike_of
from include.retraining.notifications.holding import Holding
from include.retraining.notifications.listing import MAX_LINES, send_lists
from include.retraining.notifications.notice import Notice
from include.retraining.notifications.notice_pieces import SENT, pieces
from include.retraining.notifications.outbox import deliver, deliver_waiting, post, waiting
from include.retraining.store.object_store import Store

ABOVE = 3


def notice(number: int, event: str = "no_data", *, model: str = "") -> Notice:
    """A message about one of many models."""
    model = model or f"m{number:03d}"
    return Notice(
        key=f"{model}.run-1.000.{event}",
        event=event,
        kind=NoticeKind.BROKEN,
        model=model,
        text=f":x: {model} & co: {event}\nrun: https://airflow/{model}\nevent",
        created_at=datetime.now(UTC),
    )


def tell(store: Store, message: Notice, sent: list[Notice]) -> bool:
    """Deliver a message as a callback does."""
    return deliver(store, message, sent.append, hold=Holding(store, lambda _: ABOVE).piece_for)


def channel_of(message: Notice) -> str:
    """All models have one channel but those of team b."""
    return "b" if message.model.startswith("b_") else "a"


def pass_over(store: Store, sent: list[Notice], *, minutes: int = 3) -> int:
    """Do what the watch does with the outbox, some minutes later."""
    listed = pieces(store)
    hold = Holding(store, lambda _: ABOVE, listed=listed).piece_for
    deliver_waiting(store, sent.append, listed=listed, hold=hold)
    later = datetime.now(UTC) + timedelta(minutes=minutes)
    return send_lists(store, listed, sent.append, channel_of, now=later)


def age(store: Store, minutes: int) -> None:
    """Make all that lies in the outbox older."""
    for info in store.children("outbox")[1]:
        path = store.local_path(info.key)
        assert path is not None
        time = info.last_modified.timestamp() - minutes * 60
        os.utime(path, (time, time))


@pytest.mark.fault("H09")
def test_a_hundred_alike_are_three_messages_and_a_digest(folder: Store) -> None:
    """The first ones are sent, the digest lists the others, and each is marked as sent."""
    store, sent = folder, list[Notice]()
    for number in range(100):
        tell(store, notice(number), sent)
    assert [one.key for one in sent] == [notice(number).key for number in range(ABOVE)]
    assert len(list(waiting(store))) == 97
    assert pass_over(store, sent, minutes=0) == 0  # others may follow
    assert pass_over(store, sent) == 97
    *_, digest = sent
    assert len(sent) == ABOVE + 1
    assert "97 more messages alike: no data" in digest.text
    assert "• m003 & co: no_data https://airflow/m003" in digest.text
    assert digest.text.count("•") == MAX_LINES
    assert f"… and {97 - MAX_LINES} more: `outbox/{digest.key}.json` names all" in digest.text
    assert digest.lists == tuple(notice(number).key for number in range(ABOVE, 100))
    assert (digest.kind, digest.model) == (NoticeKind.BROKEN, "m003")
    assert all(len(str(block)) < 3000 for block in digest.blocks)
    assert list(waiting(store)) == []
    assert all(SENT in by_name for by_name in pieces(store).values())
    assert pass_over(store, sent) == 0


@pytest.mark.fault("H09")
def test_a_hundred_at_once_are_a_flood_too(folder: Store) -> None:
    """Whatever each of a hundred processes sees of the others, few are sent and none is lost."""
    sent: list[Notice] = []
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: tell(folder, notice(number), sent), range(100)))
    assert ABOVE <= len(sent) < ABOVE + 32
    listed = 100 - len(sent)
    assert pass_over(folder, sent) == listed
    assert len(sent[-1].lists) == listed


def test_what_is_not_alike_or_not_now_is_no_flood(folder: Store) -> None:
    """Other events count for themselves, and an hour later the count begins anew."""
    sent: list[Notice] = []
    for number in range(ABOVE):
        assert tell(folder, notice(number), sent)
        assert tell(folder, notice(number, "rejected"), sent)
    assert not tell(folder, notice(50), sent)
    age(folder, 61)
    assert tell(folder, notice(51), sent)


def test_each_channel_gets_its_own(folder: Store) -> None:
    """A digest lists only what its readers would have been sent; a single message goes as it is."""
    sent: list[Notice] = []
    for number in range(ABOVE + 2):
        tell(folder, notice(number), sent)
    tell(folder, notice(0, model="b_one"), sent)
    assert pass_over(folder, sent) == 3
    alone, digest = sorted(sent[-2:], key=lambda one: len(one.lists))
    assert [len(digest.lists), alone.key] == [2, "b_one.run-1.000.no_data"]


@pytest.mark.fault("H09")
def test_a_digest_that_is_refused_waits_with_what_it_lists(folder: Store) -> None:
    """Nothing is marked before it arrived, and what the watch sends later settles the same."""
    sent: list[Notice] = []
    for number in range(ABOVE + 4):
        tell(folder, notice(number), sent)

    def refuse(message: Notice) -> None:
        raise NotSent("Slack answered 500")

    later = datetime.now(UTC) + timedelta(minutes=3)
    with pytest.raises(NotSent, match="1 lists of messages could not be sent"):
        send_lists(folder, pieces(folder), refuse, channel_of, now=later)
    assert len(list(waiting(folder))) == 5  # the digest too
    tell(folder, notice(90), sent)  # one more, which the stored digest does not list
    for info in folder.children("outbox")[1]:
        if ".retry-" in info.key or (".claim-" in info.key and "list-" in info.key):
            folder.delete(info.key)
    assert pass_over(folder, sent) == 4
    assert pass_over(folder, sent) == 1
    assert [len(one.lists) for one in sent[ABOVE:]] == [4, 0]
    assert list(waiting(folder)) == []


def test_an_announcement_is_listed_in_the_words_of_its_decision(folder: Store) -> None:
    """One without a decision yet is listed once it has one."""
    sent: list[Notice] = []
    for number in range(ABOVE + 2):
        tell(folder, notice(number), sent)
    announced = notice(80).model_copy(update={"text": "", "record": "models/m080/decisions/x.json"})
    post(folder, announced)
    folder.create(f"outbox/{announced.key}.flooded.json", b"{}\n")
    assert pass_over(folder, sent) == 2
    assert announced.key not in sent[-1].lists


@pytest.mark.parametrize(
    ("key", "event"),
    [
        ("toy.20261124T060000-scheduled__2026-11-24T06_00_00_00_00-0a1b2c3d.000.held", "held"),
        ("toy.20261124T060000-run-0a1b2c3d.late", "late"),
        ("toy.too_old.20261124T060000", "too_old"),
        ("toy.too_old.20261124T060000.over", "too_old_over"),
        ("toy.run.000.lost_job.retrain-toy-1", None),
        ("list-no_data.0a1b2c3d4e5f1", None),
        ("over", "over"),
    ],
)
def test_a_key_says_what_a_message_has_in_common_with_others(key: str, event: str | None) -> None:
    """A run's event, or a condition and whether it is over."""
    assert alike_of(key) == event


def test_the_first_of_a_digest_does_not_wait_for_long() -> None:
    """The watch comes every five minutes, so a digest is there within seven."""
    assert timedelta(minutes=1) <= listing.DIGEST_AFTER <= timedelta(minutes=5)
