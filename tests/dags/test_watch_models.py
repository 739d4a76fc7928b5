"""Tests of the watch's DAG, and of what a model's deadline makes of its DAG."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import DAG, DeadlineAlert
from airflow.serialization.serialized_objects import DagSerialization

from include.orchestration.parsing.schedule import due_times, run_deadline
from include.retraining.config.model import ModelConfig, load_model
from tests.support.repository_copy import REPOSITORY

# Airflow's own use of a library.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")


@pytest.fixture(scope="module")
def dag() -> DAG:
    """The DAG."""
    file = REPOSITORY / "dags" / "watch_models.py"
    bag = BundleDagBag(dag_folder=file, bundle_path=REPOSITORY, bundle_name="retraining")
    assert bag.import_errors == {}
    found: DAG = bag.dags["watch_models"]
    return found


def test_it_watches_by_itself_and_never_twice_at_once(dag: DAG) -> None:
    """Nobody has to unpause it, it makes up for nothing, and a slow look delays the next."""
    assert dag.is_paused_upon_creation is False
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert json.dumps(DagSerialization.to_dict(dag))


def test_no_task_stops_another_and_the_heartbeat_is_written_after_all(dag: DAG) -> None:
    """It is behind each, however that ended."""
    heartbeat = dag.task_dict["write_heartbeat"]
    looks = {"resend_notices", "close_dead_runs", "stop_lost_jobs", "check_models"}
    assert set(dag.task_ids) == looks | {"write_heartbeat"}
    assert heartbeat.upstream_task_ids == looks
    assert heartbeat.trigger_rule == "all_done"
    assert all(dag.task_dict[name].upstream_task_ids == set() for name in looks)


def config(**changes: Any) -> ModelConfig:
    """A model that ships, with other values."""
    return load_model("loan_approval").model_copy(update=changes)


def test_a_deadline_after_the_start_is_airflows() -> None:
    """It counts from the queue, and what it calls lies in the plugins."""
    alert = run_deadline(config(deadline="3h after start"))
    assert isinstance(alert, DeadlineAlert)
    assert alert.interval == timedelta(hours=3)
    module, _, function = alert.callback.path.rpartition(".")
    plugin = REPOSITORY / "plugins" / f"{module}.py"
    assert f"async def {function}(" in plugin.read_text()
    assert run_deadline(config(deadline="06:00 Europe/Paris")) is None
    assert run_deadline(config()) is None


def test_the_callback_of_a_deadline_imports_nothing_of_ours() -> None:
    """The triggerer knows no bundle: `include` is imported once a deadline has passed."""
    text = (REPOSITORY / "plugins" / "deadline_callbacks.py").read_text()
    assert "include" not in "".join(
        line for line in text.splitlines() if line.startswith(("import", "from"))
    )


def test_when_runs_were_due_follows_the_models_own_clock() -> None:
    """Six in the morning in Paris is six on both sides of the change of the clocks."""
    trigger = config().trigger.model_copy(
        update={"schedule": "0 6 * * *", "timezone": "Europe/Paris"}
    )
    found = due_times(config(trigger=trigger), datetime(2026, 10, 25, 12, tzinfo=UTC), 2)
    assert [time.astimezone(UTC).hour for time in found] == [5, 4]
    by_hand = config().trigger.model_copy(update={"schedule": None})
    assert due_times(config(trigger=by_hand), datetime.now(UTC), 3) == ()
