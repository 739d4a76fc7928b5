"""When a model is retrained by itself, how long a run may take, and when it is late."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

# Public names that Airflow 3.3.2 leaves out of its type stub.
from airflow.sdk import AsyncCallback, CronTriggerTimetable, DeadlineAlert, DeadlineReference  # type: ignore[attr-defined]
from croniter import croniter  # type: ignore[import-untyped]

from include.retraining.config.cron import schedule_problem
from include.retraining.config.deadline import AfterStart, parse_deadline
from include.retraining.config.model import ModelConfig
from include.retraining.exceptions import ConfigError

CLOCK_CHANGE = timedelta(hours=2)
"""More than any zone puts its clocks forward or back."""
TRIES = 3
BETWEEN_TRIES = timedelta(minutes=5)
FOR_THE_REST = timedelta(hours=1)
# By its path: it lies in `plugins/`, because it runs in the triggerer, which knows no bundle.
CALLBACK = "deadline_callbacks.tell_late"


def timetable(config: ModelConfig) -> CronTriggerTimetable | None:
    """Return a model's schedule, None when it is only triggered manually.

    Switching a new DAG on starts no run for a time that is past: with Airflow's default, a tick of
    the last tenth of the interval would count.

    Raises:
        ConfigError: for a schedule that never comes. Airflow would refuse it too, but for the whole
            file, and no model would be retrained any more.
    """
    schedule = config.trigger.schedule
    return None if schedule is None else cron_timetable(config, "trigger.schedule", schedule)


def cron_timetable(config: ModelConfig, field: str, schedule: str) -> CronTriggerTimetable:
    """Return a cron expression of a model's YAML as Airflow follows it.

    Raises:
        ConfigError: naming the field, for a schedule that never comes.
    """
    problem = schedule_problem(schedule)
    if problem is not None:
        raise ConfigError(f"include/models/{config.name}.yaml: {field}: {problem}")
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
        None of them for a model that is triggered manually only.
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


def run_time_limit(config: ModelConfig) -> timedelta:
    """Return the sum of what the parts may take, every retry included, and an hour for the rest."""
    compute = config.compute
    jobs = (
        compute.validate_data.max_seconds
        + compute.train_model.max_seconds
        + compute.evaluate_model.max_seconds * 2  # the card runs on the same compute
    )
    waiting = timedelta(seconds=config.trigger.timeout_seconds)
    if config.approval == "required":
        waiting += TRIES * timedelta(hours=config.approval_hours)  # each try asks again
    return waiting + TRIES * (timedelta(seconds=jobs) + 5 * BETWEEN_TRIES) + FOR_THE_REST


def run_deadline(config: ModelConfig) -> DeadlineAlert | None:
    """Return what Airflow does when a run takes too long; None without such a deadline.

    A time of day is the watch's: it must be kept also when no run was ever created.
    """
    deadline = None if config.deadline is None else parse_deadline(config.deadline)
    if not isinstance(deadline, AfterStart):
        return None
    return DeadlineAlert(
        name="late",
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=deadline.interval,
        callback=AsyncCallback(CALLBACK, kwargs={"deadline": config.deadline}),
    )
