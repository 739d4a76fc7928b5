"""What is wrong with a model although no run says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.retraining.monitoring.drift_state import drift_state
from include.retraining.monitoring.windows import Judgement, State
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from include.retraining.watch.alarms import NOWHERE
from include.retraining.watch.conditions import (
    CONDITIONS,
    ModelObservation,
    RunSummary,
    damaged_log,
    problems,
)
from tests.support.planted_drifts import planted_all
from tests.support.run_factory import CONFIG, MODEL, decide, plant_run

NOW = datetime(2026, 1, 10, 8, tzinfo=UTC)
DUES = tuple(NOW.replace(hour=6) - timedelta(days=days) for days in range(3))
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(folder_store: Store) -> Store:
    """An initialised store on a folder."""
    return initialise(folder_store.uri, {})


DECIDED = datetime(2026, 1, 2, 6, tzinfo=UTC)
"""When a run was due and decided that is older than two intervals."""


def observation(**changes: Any) -> ModelObservation:
    """A model that was never looked at wrongly: unpaused, watched for long, nothing limited."""
    config = CONFIG.model_copy(update=changes.pop("config", {}))
    return replace(
        ModelObservation(
            config=config,
            now=NOW,
            watched_since=LONG_AGO,
            is_paused=False,
            dues=(),
            due_for_deadline=None,
            decided=None,
            run=None,
            champion=None,
            serving="version abc",
        ),
        **changes,
    )


def found(**changes: Any) -> list[str]:
    """Return the conditions that a look finds."""
    return [alarm.condition for alarm in problems(observation(**changes))]


def run(state: str = "running", *, waits_for_person: bool = False) -> RunSummary:
    """A model's newest run."""
    return RunSummary("scheduled__x", DUES[0], state, waits_for_person)


def test_a_model_that_is_well_raises_nothing() -> None:
    """Decided at each time it was due."""
    assert found(dues=DUES, decided=DUES[0], due_for_deadline=DUES[0]) == []


def test_a_pause_is_told_of_a_model_that_was_in_use() -> None:
    """A model that nobody ever switched on is nobody's worry."""
    assert found(is_paused=True, decided=DECIDED) == ["paused"]
    assert found(is_paused=True) == []


def test_two_intervals_without_a_decision_are_told() -> None:
    """The last decision is of before the third last time that a run was due."""
    assert found(dues=DUES, decided=DECIDED) == ["no_decision"]
    assert found(dues=DUES, decided=DUES[2] + timedelta(hours=1)) == []
    (alarm,) = problems(observation(dues=DUES, decided=DECIDED, run=run("queued")))
    assert "is queued" in alarm.why


def test_what_was_due_before_the_watch_began_is_not_its_matter() -> None:
    """A new model, or a new watch, is not told of its past."""
    assert found(dues=DUES, watched_since=DUES[2] + timedelta(seconds=1)) == []
    late = {"config": {"deadline": "07:00 UTC"}, "due_for_deadline": DUES[0]}
    assert found(**late, watched_since=DUES[0]) == ["late"]
    assert found(**late, watched_since=DUES[0] + timedelta(seconds=1)) == []


def test_a_run_that_waits_for_a_person_is_neither_late_nor_silent() -> None:
    """It waits for you."""
    late = {"config": {"deadline": "07:00 UTC"}, "due_for_deadline": DUES[0], "dues": DUES}
    assert found(**late, run=run()) == ["no_decision", "late"]
    assert found(**late, run=run(waits_for_person=True)) == []


@pytest.mark.fault("J06")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_paused": True}, "its DAG is paused"),
        ({"is_paused": None}, "Airflow does not know its DAG"),
        ({}, "no run was created"),
    ],
)
def test_late_by_the_clock_needs_no_run(changes: dict[str, Any], words: str) -> None:
    """Never created: the message says why."""
    (alarm,) = problems(
        observation(config={"deadline": "07:00 UTC"}, due_for_deadline=DUES[0], **changes)
    )
    assert alarm.condition == "late"
    assert "must decide by 2026-01-10 07:00 UTC" in alarm.why
    assert words in alarm.why


def test_a_decision_before_the_deadline_is_not_late() -> None:
    """Of the run that was due, or of one by hand since then."""
    late = {"config": {"deadline": "07:00 UTC"}, "due_for_deadline": DUES[0]}
    for decided in (DUES[0], DUES[0] + timedelta(minutes=5)):
        assert found(**late, decided=decided) == []
    assert found(**late, decided=DECIDED) == ["late"]


def test_the_age_of_what_serves_is_that_of_its_data(store: Store) -> None:
    """Trained on the data of 2 January: on the 10th it is older than eight days, not than nine."""
    decide(store, plant_run(store, 1))
    champion = PromotionLog(store, MODEL).champion()
    assert found(config={"max_champion_age_days": 9.0}, champion=champion) == []
    (alarm,) = problems(observation(config={"max_champion_age_days": 8.0}, champion=champion))
    assert alarm.condition == "too_old"
    assert "2026-01-02, 8 days ago; the limit is 8 days" in alarm.why
    assert found(config={"max_champion_age_days": 8.0}) == []


def test_a_decay_is_an_alarm_with_its_evidence() -> None:
    """What was scored and promised is in the message; a healthy champion raises nothing."""
    decayed = observation(decay=Judgement(State.DECAYED, "roc auc 0.70, promised 0.85"))
    (alarm,) = problems(decayed)
    assert (alarm.condition, alarm.runbook) == ("decayed", "decayed")
    assert "roc auc 0.70, promised 0.85" in alarm.why
    assert problems(observation(decay=Judgement(State.HEALTHY, "as promised"))) == []


def test_a_champion_that_cannot_be_judged_any_more_leaves_its_alarm_as_it_is() -> None:
    """It is neither raised nor over; of one that never was, nothing can have been raised."""
    blind = Judgement(State.CANNOT_JUDGE, "3 rows are new to it", seen_at=NOW)
    assert problems(observation(decay=blind)) == []
    assert set(CONDITIONS) - set(observation(decay=blind).checked) == {"decayed"}
    never = Judgement(State.CANNOT_JUDGE, "nothing has been graded yet")
    for other in (None, never, Judgement(State.HEALTHY, "as promised", seen_at=NOW)):
        assert observation(decay=other).checked == tuple(CONDITIONS)


def test_inputs_that_drifted_are_an_alarm_that_names_the_columns() -> None:
    """It says how far each column moved and what its limit is, and what is scored by which name."""
    state = drift_state(planted_all(0.4, 0.4, 0.4), 1)
    (alarm,) = problems(observation(drifts={"scoring": state}))
    assert (alarm.condition, alarm.runbook) == ("drifted", "drifted")
    assert "of what is scored: `income` (stability index 0.40, limit 0.20" in alarm.why
    usual = drift_state(planted_all(0.1), 1)
    assert problems(observation(drifts={"scoring": usual, "delivery": usual})) == []


def test_a_drift_that_cannot_be_judged_is_neither_raised_nor_over() -> None:
    """Then the alarm stays as it is, and the other conditions are checked."""
    blind = observation(drifts={"scoring": drift_state(planted_all(0.4, 0.4, 0.4, None), 1)})
    assert problems(blind) == []
    assert set(CONDITIONS) - set(blind.checked) == {"drifted"}
    assert observation().checked == tuple(CONDITIONS)


def test_every_condition_is_listed() -> None:
    """What is not listed would never be told to be over."""
    alarms = problems(
        observation(config={"deadline": "07:00 UTC"}, due_for_deadline=DUES[0], dues=DUES)
    )
    assert {alarm.condition for alarm in alarms} <= set(CONDITIONS)
    assert {alarm.serving for alarm in alarms} == {"version abc"}


def test_a_log_that_is_damaged_is_an_alarm() -> None:
    """It says why nothing else could be looked at, and what to type."""
    alarm = damaged_log(CONFIG, "00000003.json: not readable", NOWHERE)
    assert alarm.condition in CONDITIONS
    assert alarm.runbook == "promotion_log"
    assert "00000003.json" in alarm.why
    assert f"python -m include.retraining verify {MODEL}" in alarm.step
