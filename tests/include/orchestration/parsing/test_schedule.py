"""Tests of the clock of a run, of its schedule, and of when a run was due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pendulum
import pytest
from airflow.timetables.base import TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable

from include.orchestration.parsing.schedule import due_times, run_time_limit, timetable
from include.retraining.config.model import ModelConfig, load_model
from include.retraining.exceptions import ConfigError

NIGHTS = [
    ("Europe/Paris", datetime(2026, 10, 25, tzinfo=UTC)),
    ("Europe/Paris", datetime(2026, 3, 29, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, tzinfo=UTC)),
]


def test_a_run_may_take_what_its_parts_may_take() -> None:
    """Every job at its limit, three times, after the longest wait, still fits."""
    config = load_model("loan_approval")
    compute = config.compute
    steps = (compute.validate_data, compute.train_model, compute.evaluate_model)
    jobs = timedelta(seconds=sum(step.timeout_seconds for step in steps))
    waiting = timedelta(seconds=config.trigger.timeout_seconds)
    delays = 2 * len(steps) * timedelta(minutes=5)
    assert run_time_limit(config) > waiting + 3 * jobs + delays


def scheduled(schedule: str | None) -> ModelConfig:
    """A model with another schedule."""
    config = load_model("loan_approval")
    trigger = config.trigger.model_copy(update={"schedule": schedule})
    return config.model_copy(update={"trigger": trigger})


@pytest.mark.parametrize("schedule", ["0 6 * * *", "@weekly"])
def test_a_schedule_is_in_the_models_time_zone(schedule: str) -> None:
    """The cron expression and the zone are the model's."""
    made = timetable(scheduled(schedule))
    assert made is not None
    assert str(made.timezone) == "America/New_York"
    assert made.run_immediately == timedelta(0)


def test_no_schedule_is_by_hand_only() -> None:
    """`schedule: null` makes no timetable."""
    assert timetable(scheduled(None)) is None


def test_a_time_that_never_comes_is_refused() -> None:
    """The error names file, field and an example."""
    with pytest.raises(
        ConfigError, match=r"loan_approval\.yaml: trigger\.schedule: '99 \* \* \* \*'"
    ):
        timetable(scheduled("99 * * * *"))


@pytest.mark.parametrize("schedule", ["30 2 * * *", "*/20 1-3 * * *", "30 * * * *", "0 2,3 * * 0"])
@pytest.mark.parametrize(("zone", "night"), NIGHTS, ids=str)
def test_dues_at_a_change_of_the_clocks_are_airflows(schedule: str, zone: str, night: datetime):
    """No due is there twice, none is missing and none is an hour off."""
    airflow = CronTriggerTimetable(schedule, timezone=zone)
    start = pendulum.instance(night - timedelta(days=30))
    since = TimeRestriction(earliest=start, latest=None, catchup=True)
    dues, last = list[datetime](), None
    while (
        due := airflow.next_dagrun_info(last_automated_data_interval=last, restriction=since)
    ) is not None and due.run_after < night + timedelta(days=1):
        dues.append(due.run_after)
        last = due.data_interval
    model = load_model("loan_approval")
    trigger = model.trigger.model_copy(update={"schedule": schedule, "timezone": zone})
    model = model.model_copy(update={"trigger": trigger})
    for hours in range(-4, 22, 2):
        before = night + timedelta(hours=hours)
        expected = [due for due in dues if due < before][-3:]
        assert list(due_times(model, before, 3)) == expected[::-1], before
