"""What a rollback would change: the version it goes back to, and what a repeated request finds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.retraining.exceptions import NotFound, RegistryError, Superseded
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.rollback.plan import plan_rollback
from include.retraining.runs.manifest import Serving
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.run_factory import MODEL, decide, plant_run, plant_version, version_name

REQUEST = "rollback_model/manual__1"


@pytest.fixture
def store(folder_store: Store) -> Store:
    """A store in which nothing serves."""
    return initialise(folder_store.uri, {})


def promote(store: Store, *days: int) -> None:
    """Let the runs of some days promote."""
    for day in days:
        decide(store, plant_run(store, day))


def roll_back(store: Store, day: int, request: str | None = None) -> PromotionEntry:
    """Let the version of a day serve again."""
    plan = plan_rollback(store, MODEL, version_name(day))
    return Registry(store, MODEL).rollback(
        plan.target.version,
        actor="ada",
        reason="complaints",
        seen=plan.serving.generation,
        request=request,
    )


def target(store: Store) -> str:
    """The version that a rollback goes back to by itself."""
    return plan_rollback(store, MODEL).target.version


def test_the_champion_before(store: Store) -> None:
    """By itself a rollback goes back to what served before."""
    promote(store, 1, 2)
    plan = plan_rollback(store, MODEL)
    assert plan.target == Serving(version=version_name(1), generation=1)
    assert plan.serving == Serving(version=version_name(2), generation=2)
    assert plan.target_data_date == "2026-01-02"
    assert version_name(1) in plan.summary


def test_a_second_rollback_goes_further_back(store: Store) -> None:
    """What a person took back is not gone back to, a release in between or not."""
    promote(store, 1, 2, 3)
    roll_back(store, 2)
    assert target(store) == version_name(1)
    Registry(store, MODEL).release(actor="ada", reason="mended")
    assert target(store) == version_name(1)
    promote(store, 4)
    assert target(store) == version_name(2)


def test_what_is_named(store: Store) -> None:
    """A person may name any version that served, and no other."""
    promote(store, 1, 2, 3)
    assert plan_rollback(store, MODEL, version_name(1)).target.generation == 1
    plant_version(store, 9)
    with pytest.raises(NotFound, match="never served"):
        plan_rollback(store, MODEL, version_name(9))
    with pytest.raises(RegistryError, match="serves already"):
        plan_rollback(store, MODEL, version_name(3))


def test_where_there_is_no_way_back(store: Store) -> None:
    """Nothing serves yet, or nothing served before that was not taken back."""
    with pytest.raises(RegistryError, match="nothing serves yet"):
        plan_rollback(store, MODEL)
    promote(store, 1)
    with pytest.raises(NotFound, match="no version served before"):
        plan_rollback(store, MODEL)
    promote(store, 2)
    roll_back(store, 1)
    with pytest.raises(NotFound, match="was not rolled back"):
        plan_rollback(store, MODEL)


def test_a_champion_that_the_person_did_not_see(store: Store) -> None:
    """Two who ask at the same time roll back once: the second is told to look again."""
    promote(store, 1, 2, 3)
    asked_at = datetime.now(UTC)
    assert plan_rollback(store, MODEL, asked_at=asked_at).target.version == version_name(2)
    roll_back(store, 2)
    with pytest.raises(Superseded, match=r"generation 4 \(rollback by ada, .*after you asked"):
        plan_rollback(store, MODEL, asked_at=asked_at)


def test_what_a_person_saw_decides_and_no_clock(store: Store) -> None:
    """A promoter whose clock is ahead holds up no rollback of the generation that was seen."""
    promote(store, 1, 2, 3)
    before = datetime.now(UTC) - timedelta(minutes=5)  # as if the promoter's were ahead of it
    with pytest.raises(Superseded, match="ask again with generation 3"):
        plan_rollback(store, MODEL, asked_at=before)
    plan = plan_rollback(store, MODEL, seen=3, asked_at=before)
    assert plan.target.version == version_name(2)
    roll_back(store, 2)
    later = datetime.now(UTC) + timedelta(minutes=5)
    with pytest.raises(Superseded, match=r"serves as generation 4 .*you saw generation 3: look"):
        plan_rollback(store, MODEL, seen=3, asked_at=later)


def test_a_request_that_was_done_is_found_again(store: Store) -> None:
    """A cleared run gets the plan that it had, whatever serves by now, and goes back no further."""
    promote(store, 1, 2, 3)
    due = datetime.now(UTC)
    first = plan_rollback(store, MODEL, request=REQUEST, asked_at=due, since=due)
    made = roll_back(store, 2, REQUEST)
    Registry(store, MODEL).release(actor="ada", reason="mended")
    again = plan_rollback(store, MODEL, request=REQUEST, asked_at=due, since=due)
    assert again.target == Serving(version=made.version, generation=made.generation)
    assert again.serving == first.serving
    entry = Registry(store, MODEL).rollback(
        again.target.version,
        actor="ada",
        reason="complaints",
        seen=again.serving.generation,
        request=REQUEST,
    )
    assert entry == made
    assert len(PromotionLog(store, MODEL).history()) == 5


def test_older_entries_are_not_searched(store: Store) -> None:
    """A request is not looked for among entries from long before it was asked."""
    promote(store, 1, 2)
    made = roll_back(store, 1, REQUEST)
    log = PromotionLog(store, MODEL)
    assert log.entry_for_request(REQUEST, made.created_at) == made
    assert log.entry_for_request(REQUEST, made.created_at + timedelta(days=2)) is None
    assert log.entry_for_request("rollback_model/manual__2", made.created_at) is None
