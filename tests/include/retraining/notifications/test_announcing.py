"""A decision is announced before it is recorded, and told as it was recorded."""

from __future__ import annotations

import pytest

from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.notifications.announcing import announcement
from include.retraining.notifications.notice import Links, Notice
from include.retraining.notifications.outbox import deliver_waiting, post, waiting
from include.retraining.steps.close_run import close_run
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.run_factory import decide, plant_run, run_ref


@pytest.fixture
def store(folder_store: Store) -> Store:
    """An initialised store."""
    return initialise(folder_store.uri, {})


def told(store: Store) -> list[Notice]:
    """Send what waits, and return what was said."""
    said: list[Notice] = []
    deliver_waiting(store, said.append)
    return said


def announce(store: Store, record: DecisionRecord, **changes: object) -> None:
    """Announce a decision as a process that is killed right afterwards."""
    meant = record.model_copy(update=changes)
    notice = announcement(meant, run_ref(1).paths.decision(record.clear))
    assert notice is not None
    post(store, notice)


@pytest.mark.fault("H01")
def test_a_decision_whose_process_was_killed_behind_the_record_is_told_once(store: Store) -> None:
    """Nobody told it; the next sender does, from the record, and links to it (H01)."""
    record = close_run(store, run_ref(1), Outcome.FAILED, "it was <killed>", failure="killed")
    (notice,) = told(store)
    assert "it was &lt;killed&gt;" in notice.text
    assert run_ref(1).paths.decision(0) in notice.text
    assert (notice.event, notice.model) == ("broken", record.model)
    assert told(store) == list(waiting(store)) == []


def test_what_is_not_recorded_is_not_told(store: Store) -> None:
    """An announcement waits for its record, is no message that waits, and is told after it."""
    record = close_run(store, run_ref(1), Outcome.NO_DATA, "no flag")
    store.delete(run_ref(1).paths.decision(0))
    assert told(store) == list(waiting(store)) == []
    store.create(run_ref(1).paths.decision(0), record.to_bytes())
    assert [notice.event for notice in told(store)] == ["no_data"]


def test_what_was_recorded_otherwise_is_told_otherwise(store: Store) -> None:
    """A process announced a failure and died; its retry refused: only the refusal is told."""
    record = close_run(store, run_ref(1), Outcome.REJECTED, "not better")
    announce(store, record, outcome=Outcome.FAILED)
    assert [notice.event for notice in told(store)] == ["rejected"]
    assert told(store) == []
    assert store.exists(f"outbox/{record.model}.{record.run}.000.broken.sent.json")


def test_a_promotion_that_is_not_recorded_yet_goes_on_waiting(store: Store) -> None:
    """The log may still have the record corrected: its announcement is not dropped."""
    record = close_run(store, run_ref(1), Outcome.FAILED, "too slow")
    announce(store, record, outcome=Outcome.PROMOTED)
    assert [notice.event for notice in told(store)] == ["broken"]
    assert not store.exists(f"outbox/{record.model}.{record.run}.000.promoted.sent.json")


def test_where_there_is_nothing_to_tell_nothing_is_announced(store: Store) -> None:
    """That nothing changed is no news."""
    close_run(store, run_ref(1), Outcome.NO_CHANGE, "nothing is new")
    assert store.objects("outbox") == []


def test_who_sends_says_where_it_leads(store: Store) -> None:
    """The links are those of the process that sends."""
    decide(store, plant_run(store, 1))
    said: list[Notice] = []
    deliver_waiting(store, said.append, links_of=lambda record: Links(run=f"http://x/{record.run}"))
    assert f"http://x/{run_ref(1).paths.run}" in said[0].text
