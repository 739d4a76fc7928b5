"""When a model is retrained by itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from airflow.sdk import CronTriggerTimetable
from croniter import croniter  # type: ignore[import-untyped]

from include.retraining.config import ModelConfig
from include.retraining.exceptions import ConfigError


def timetable(config: ModelConfig) -> CronTriggerTimetable | None:
    """Return a model's schedule, None when it is only started by hand.

    Switching a new DAG on starts no run for a time that is past: with Airflow's default, a tick of
    the last tenth of the interval would count.

    Raises:
        ConfigError: for a schedule that never comes. Airflow would refuse it too, but for the whole
            file, and no model would be retrained any more.
    """
    schedule = config.trigger.schedule
    if schedule is None:
        return None
    if not croniter.is_valid(schedule):
        raise ConfigError(
            f"include/models/{config.name}.yaml: trigger.schedule: {schedule!r} is not a time that "
            "comes; allowed: five fields, for example '0 6 * * 1-5' for 6:00 on weekdays"
        )
    return CronTriggerTimetable(
        schedule, timezone=config.trigger.timezone, run_immediately=timedelta(0)
    )


def due_times(config: ModelConfig, before: datetime, count: int) -> tuple[datetime, ...]:
    """Return the last times that a run of a model was due, the newest first.

    Args:
        config: the model's.
        before: only times before this one.
        count: how many.

    Returns:
        None of them for a model that is started by hand only.
    """
    schedule = config.trigger.schedule
    if schedule is None:
        return ()
    ticks = croniter(schedule, before.astimezone(ZoneInfo(config.trigger.timezone)))
    return tuple(ticks.get_prev(datetime) for _ in range(count))
