"""When a model is retrained by itself."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable

from include.retraining.config import Trigger


def timetable(trigger: Trigger) -> CronTriggerTimetable | None:
    """Return a model's schedule, None when it is only started by hand.

    Switching a new DAG on starts no run for a time that is past: with Airflow's default, a tick of
    the last tenth of the interval would count.
    """
    if trigger.schedule is None:
        return None
    return CronTriggerTimetable(
        trigger.schedule, timezone=trigger.timezone, run_immediately=timedelta(0)
    )
