"""Tests of the clock of a run and of its schedule."""

from __future__ import annotations

from datetime import timedelta

import pytest

from include.orchestration.time_limit import run_time_limit
from include.orchestration.timetable import timetable
from include.retraining.config.model import ModelConfig, load_model
from include.retraining.exceptions import ConfigError


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
