"""When a model is retrained by itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from airflow.sdk import CronTriggerTimetable
from croniter import croniter  # type: ignore[import-untyped]

from include.retraining.config.cron import schedule_problem
from include.retraining.config.model import ModelConfig
from include.retraining.exceptions import ConfigError

CLOCK_CHANGE = timedelta(hours=2)
"""More than any zone puts its clocks forward or back."""


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
    problem = schedule_problem(schedule)
    if problem is not None:
        raise ConfigError(f"include/models/{config.name}.yaml: trigger.schedule: {problem}")
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
    # Airflow's own walk, forwards as its scheduler goes: at the change of the clocks croniter by
    # itself sees other times, and so does a walk backwards.
    from airflow.timetables.base import TimeRestriction
    from airflow.timetables.trigger import CronTriggerTimetable as Followed
    from pendulum import instance

    zone = ZoneInfo(config.trigger.timezone)
    ticks = croniter(schedule, before.astimezone(zone))
    start = [ticks.get_prev(datetime) for _ in range(count + 1)][-1] - CLOCK_CHANGE
    followed = Followed(schedule, timezone=config.trigger.timezone)
    since = TimeRestriction(earliest=instance(start), latest=None, catchup=True)
    last, dues = None, list[datetime]()
    while (
        due := followed.next_dagrun_info(last_automated_data_interval=last, restriction=since)
    ) is not None and due.run_after < before:
        dues.append(due.run_after)
        last = due.data_interval
    return tuple(dues[: -count - 1 : -1])
