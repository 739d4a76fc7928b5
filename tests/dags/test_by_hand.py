"""Tests of the DAGs that a person acts with: the forms, the dangerous edge, and the alerts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import DAG, AssetAlias

from include.orchestration.callbacks.manual_change import (
    notify_failed_release,
    notify_failed_rollback,
    notify_failed_silence,
)
from include.retraining.config.model import model_names

ROOT = Path(__file__).resolve().parents[2]
ALERTS = {
    "rollback_model": notify_failed_rollback,
    "release_model": notify_failed_release,
    "silence_alerts": notify_failed_silence,
}

# Airflow's own use of a library.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")


@pytest.fixture(scope="module")
def bag() -> BundleDagBag:
    """The DAGs of this repository."""
    return BundleDagBag(dag_folder=ROOT, bundle_path=ROOT, bundle_name="retraining")


@pytest.fixture(params=sorted(ALERTS))
def dag(bag: BundleDagBag, request: pytest.FixtureRequest) -> DAG:
    """Each DAG that acts by hand."""
    found: DAG = bag.dags[request.param]
    return found


def test_it_is_there_when_it_is_needed(dag: DAG) -> None:
    """No schedule starts it, and it is not switched off."""
    assert not dag.timetable.can_be_scheduled
    assert dag.is_paused_upon_creation is False


def test_its_page_says_what_to_do(dag: DAG) -> None:
    """Every task has a name in plain words, and the page has triage notes."""
    assert dag.doc_md is not None
    assert dag.doc_md.startswith("# ")
    assert "## Triage" in dag.doc_md
    for task in dag.tasks:
        assert task.task_display_name != task.task_id


def test_a_failure_is_told(dag: DAG) -> None:
    """On the DAG too: no task callback comes when a process is killed."""
    alert = ALERTS[dag.dag_id]
    assert dag.on_failure_callback == [alert]
    for task in dag.tasks:
        assert list(task.on_failure_callback) == [alert]


def test_its_form_is_bounded(dag: DAG) -> None:
    """The model is one of those there are, and the reason must be typed."""
    form: Any = dag.params
    assert form.get_param("model").schema["enum"] == model_names()
    reason = form.get_param("reason")
    assert not reason.has_value
    assert (reason.schema["minLength"], reason.schema["maxLength"]) == (1, 200)


def test_a_rollback_is_a_dry_run_unless_it_is_asked_for(bag: BundleDagBag) -> None:
    """The form changes nothing as it comes."""
    assert bag.dags["rollback_model"].params["dry_run"] is True


def test_only_a_version_that_was_tried_serves_again(bag: BundleDagBag) -> None:
    """The rollback is behind the trial, whose word it takes, and nothing runs past a failure."""
    dag = bag.dags["rollback_model"]
    assert set(dag.task_ids) == {"check_request", "try_version", "roll_back", "report_dry_run"}
    assert dag.task_dict["roll_back"].upstream_task_ids == {"check_request", "try_version"}
    assert dag.task_dict["roll_back"].downstream_task_ids == set()
    assert dag.task_dict["try_version"].upstream_task_ids == {"check_request"}
    assert {task.trigger_rule for task in dag.tasks} == {"all_success"}
    assert [task.task_id for task in dag.tasks if task.outlets] == ["roll_back"]
    assert dag.task_dict["roll_back"].outlets == [AssetAlias("rolled_back_champion")]
