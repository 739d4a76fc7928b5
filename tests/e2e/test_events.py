"""Deliveries start runs on a real Airflow, with S3 and SQS on loopback, through kills."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from include.retraining.decisions.record import Outcome
from tests.support.event_story import event_stage

ZONE = ZoneInfo("Europe/Paris")
"""The models' own."""

pytestmark = [pytest.mark.airflow, pytest.mark.slow]


@pytest.mark.fault("A16", "A17")
def test_no_event_is_lost_and_none_counts_twice(tmp_path: Path) -> None:
    """The triggerer is killed while flags land; what was reported again ends in no_change.

    So does the run that another DAG's asset starts while nothing new is there.
    """
    with event_stage(tmp_path, models=3) as running:
        first = running.deliver(running.models[0])
        running.seconds_to_begin(first)
        running.write_through_kills(events=20, kills=1)
        running.wait_for_silence(600)
        assert running.lost() == []

        # A run that no flag started works on today's delivery.
        running.deliver(running.models[0], day=datetime.now(ZONE).date())
        running.wait_for_silence(300)
        since = datetime.now(UTC)
        running.airflow.api.trigger("extract")
        run_id, _ = running.wait_for_run(running.models[0], since)
        running.wait_for_silence(300)
        assert running.airflow.record(running.models[0], run_id).outcome is Outcome.NO_CHANGE

        made, _ = running.report_doubled(6)
        outcomes = {record.outcome for record in made}
        assert Outcome.NO_CHANGE in outcomes
        assert outcomes <= {Outcome.NO_CHANGE, Outcome.REJECTED}
        assert running.decided_twice() == []
