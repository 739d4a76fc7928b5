"""Runs of the past: on a real Airflow, none of them promotes data older than the champion's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.retraining.decisions.record import Outcome
from tests.support.airflow_harness import Stage
from tests.support.repository_copy import add_model
from tests.support.scenes import patients, with_poor_training_labels
from tests.support.shared_airflow import SharedAirflow

pytestmark = [pytest.mark.airflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def airflow(shared: SharedAirflow) -> Iterator[Stage]:
    """A real Airflow with models that are due once a year."""
    with shared.with_models(add_models) as running:
        yield running


def add_models(root: Path) -> None:
    """Add models that are due once a year."""
    for name in ("filled", "cleared"):
        trigger = {"schedule": "0 3 1 1 *", "timezone": "UTC"}
        add_model(root, name, values={"trigger": trigger, "gates": {"minimum": {"r2": 0.0}}})


@pytest.mark.fault("G16")
def test_a_backfill_does_not_promote(airflow: Stage) -> None:
    """A run for a day of the past ends before it trains, and the newer data's version serves on."""
    airflow.land("filled", with_poor_training_labels(seed=1))
    _, newest = airflow.run("filled")
    assert newest.outcome is Outcome.PROMOTED

    airflow.land("filled", patients())
    year = (datetime.now(UTC) - timedelta(days=20)).year
    airflow.api.request(
        "POST",
        "/backfills",
        json={
            "dag_id": "retrain_filled",
            "from_date": f"{year}-01-01T00:00:00Z",
            "to_date": f"{year}-01-02T00:00:00Z",
        },
    )
    (run,) = airflow.wait_for(
        lambda: (
            [
                run
                for run in airflow.api.runs("retrain_filled")
                if run["dag_run_id"] != newest.run_id
            ]
            or None
        ),
        "the backfill's run",
    )
    record = airflow.record("filled", run["dag_run_id"], timeout_seconds=120)
    assert airflow.wait_for_end("filled", run["dag_run_id"]).state == "success"
    assert record.cause.run_type == "backfill"
    assert record.verdict is None
    assert record.outcome is Outcome.SUPERSEDED
    assert f"nothing was trained: the data is of {year}-01-01" in record.reason
    assert [entry.version for entry in airflow.promotions("filled")] == [newest.version]


@pytest.mark.fault("G16")
def test_an_old_run_that_is_cleared_does_not_promote(airflow: Stage) -> None:
    """Cleared as a whole, a run of yesterday's data goes all the way and changes nothing."""
    yesterday = str((datetime.now(UTC) - timedelta(days=1)).date())
    airflow.land("cleared", patients())
    _, old = airflow.run("cleared", {"date": yesterday})
    assert old.outcome is Outcome.PROMOTED

    airflow.land("cleared", patients().sample(frac=1, random_state=1))
    conf = {"force_retrain": True, "reason": "the data of today"}
    _, new = airflow.run("cleared", conf)
    assert new.outcome is Outcome.PROMOTED

    airflow.raise_flag("cleared")  # or it would wait: the last one was decided on
    airflow.clear("cleared", old.run_id)
    record = airflow.record("cleared", old.run_id, clear=1, timeout_seconds=120)
    assert airflow.wait_for_end("cleared", old.run_id).state == "success"
    assert record.outcome not in {Outcome.PROMOTED, Outcome.FAILED}
    assert [entry.version for entry in airflow.promotions("cleared")] == [old.version, new.version]
