"""When a run was due is what Airflow's scheduler made of the schedule, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pendulum
import pytest
from airflow.timetables.base import TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable

from include.orchestration.timetable import due_times
from include.retraining.config.model import load_model

NIGHTS = [
    ("Europe/Paris", datetime(2026, 10, 25, tzinfo=UTC)),
    ("Europe/Paris", datetime(2026, 3, 29, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, tzinfo=UTC)),
]


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
