"""What people are told, and that no message is lost or sent twice."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.retraining.exceptions import StorageError
from include.retraining.notices import (
    CLAIM_SECONDS,
    Claim,
    Links,
    Notice,
    deliver,
    deliver_waiting,
    notice_for,
    waiting,
)
from include.retraining.records import DecisionRecord, Outcome, close_run
from include.retraining.registry import initialise
from include.retraining.storage import Store
from tests.planted import MODEL, decide, plant_run, run_ref, version_name

LINKS = Links(run="https://airflow/run?a=1&b=2", log="https://airflow/log", record="s3://b/r.json")


@pytest.fixture
def store(any_store: Store) -> Store:
    """An initialised store, on a folder and on S3."""
    return initialise(any_store.uri, any_store.options)


@pytest.fixture
def folder(folder_store: Store) -> Store:
    """An initialised store on a folder."""
    return initialise(folder_store.uri, {})


def closed(store: Store, outcome: Outcome, reason: str = "because", **facts: Any) -> DecisionRecord:
    """The record of the second run, while the version of the first serves."""
    decide(store, plant_run(store, 1))
    run = plant_run(store, 2)
    if outcome is Outcome.PROMOTED:
        return decide(store, run)
    return close_run(store, run, outcome, reason, **facts)


def told(record: DecisionRecord) -> str:
    """The text of a record's notice."""
    notice = notice_for(record, LINKS)
    assert notice is not None
    return notice.text


EVENTS = {
    Outcome.PROMOTED: "promoted",
    Outcome.REJECTED: "rejected",
    Outcome.CANNOT_JUDGE: "cannot_judge",
    Outcome.DATA_REJECTED: "data_rejected",
    Outcome.NO_DATA: "no_data",
    Outcome.FAILED: "broken",
    Outcome.CANCELLED: "broken",
    Outcome.SUPERSEDED: "superseded",
    Outcome.DRY_RUN: "dry_run",
}


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_but_no_change_is_told(folder: Store, outcome: Outcome) -> None:
    """Each message has title, reason, what serves since when, the next step and the links."""
    record = closed(folder, outcome)
    notice = notice_for(record, LINKS)
    if outcome is Outcome.NO_CHANGE:
        assert notice is None
        return
    assert notice is not None
    assert (notice.event, notice.model) == (EVENTS[outcome], MODEL)
    serving = 2 if outcome is Outcome.PROMOTED else 1
    text = notice.text
    assert "*Toy &amp; model*" in text
    assert "*Why:* " in text
    assert f"*Serving now:* version {version_name(serving)} (generation {serving}), since " in text
    assert "*Next:* " in text
    assert "<https://airflow/run?a=1&amp;b=2|run>" in text
    assert "<https://airflow/log|log>" in text
    assert "<s3://b/r.json|record>" in text
    assert text.endswith(f"_event {notice.key}_")
    assert "{" not in text


def test_a_promotion_says_how_to_undo_it(folder: Store) -> None:
    """The message of a promotion names the version to go back to, where there is one."""
    assert f"`rollback {MODEL} --to {version_name(1)} --reason …`" in told(
        closed(folder, Outcome.PROMOTED)
    )


def test_the_first_promotion_has_nothing_to_go_back_to(folder: Store) -> None:
    """The message of the first promotion says that it is the first."""
    assert "it is the first" in told(decide(folder, plant_run(folder, 1)))


def test_before_the_first_promotion(folder: Store) -> None:
    """A run without anything in the store is told with the model's name and nothing serving."""
    record = close_run(folder, run_ref(1), Outcome.NO_DATA, "no flag", failed_task="wait_for_data")
    text = told(record)
    assert "*Toy model*: no complete delivery came in time in `wait_for_data`" in text
    assert "*Serving now:* nothing yet" in text


def test_text_from_outside_is_no_markup(folder: Store) -> None:
    """A reason cannot mention a channel, link anywhere, carry a secret or flood the message."""
    reason = "<!channel> <https://evil|click> & postgresql://u:hunter22@db/ " + "x" * 5000
    text = told(closed(folder, Outcome.FAILED, reason, failed_task="<b>"))
    assert "&lt;!channel&gt; &lt;https://evil|click&gt; &amp;" in text
    assert "hunter22" not in text
    assert "`&lt;b&gt;`" in text
    assert len(text) < 2000


def test_links_that_are_unknown_are_left_out(folder: Store) -> None:
    """Without links the message still stands."""
    notice = notice_for(closed(folder, Outcome.FAILED, failed_task="x"), Links())
    assert notice is not None
    assert "|" not in notice.text
    assert "\n\n" not in notice.text


def test_the_same_event_has_the_same_key(folder: Store) -> None:
    """Two tellers of one event have one key; another clear or another event has another."""
    record = closed(folder, Outcome.FAILED)
    keys = {
        notice_for(item, LINKS).key  # type: ignore[union-attr]
        for item in (
            record,
            record,
            record.model_copy(update={"clear": 1}),
            record.model_copy(update={"outcome": Outcome.PROMOTED}),
        )
    }
    assert len(keys) == 3
    assert all(key.startswith(f"{MODEL}.{record.run}.00") for key in keys)


# The outbox.


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


def test_a_notice_is_sent_once(store: Store) -> None:
    """Told again, by whoever, it is not sent again (H06)."""
    sent: list[Notice] = []
    assert deliver(store, make_notice(), sent.append)
    for _ in range(3):
        assert not deliver(store, make_notice(), sent.append)
    assert len(sent) == 1
    assert list(waiting(store)) == []


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


def test_what_slack_refused_waits(store: Store) -> None:
    """A message that Slack refused stays in the outbox and is delivered after recovery (H01)."""
    notice = make_notice()
    with pytest.raises(ConnectionError):
        deliver(store, notice, refuse)
    assert list(waiting(store)) == [notice]
    sent: list[Notice] = []
    assert deliver_waiting(store, sent.append) == 0  # the claim is young: another may be sending
    store.write(f"outbox/{notice.key}.claim-1.json", old_claim())
    assert deliver_waiting(store, sent.append) == 1
    assert sent == [notice]
    assert deliver_waiting(store, sent.append) == 0
    assert list(waiting(store)) == []


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
    assert "outbox cannot be read: outbox/a.json" in sent[0].text
    assert sent[1] == notice
