"""Tests of the DAG file that scores: its tasks, what starts it, and who is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import DAG, Asset

from include.orchestration.callbacks.run_ended import stop_run_jobs
from include.orchestration.callbacks.score_ended import record_scoring_failure
from include.retraining.config.model import load_model, model_names
from include.retraining.scoring.record import LAST_TASK

ROOT = Path(__file__).resolve().parents[2]
MODEL = "diabetes_progression"

# Airflow's own use of a library.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    """The DAGs of the file."""
    file = ROOT / "dags" / "score_pipeline.py"
    bag = BundleDagBag(dag_folder=file, bundle_path=ROOT, bundle_name="retraining")
    assert bag.import_errors == {}
    return dict(bag.dags)


def test_a_model_that_scores_has_its_dag_and_no_other_has_one(dags: dict[str, DAG]) -> None:
    """There is one DAG for each model whose YAML has the section."""
    scoring = {f"score_{name}" for name in model_names() if load_model(name).scoring is not None}
    assert set(dags) == scoring == {f"score_{MODEL}"}


def test_the_job_is_behind_the_plan_and_the_record_behind_the_job(dags: dict[str, DAG]) -> None:
    """Four tasks, one after the other, and the record, green after a refusal, has the asset."""
    dag = dags[f"score_{MODEL}"]
    edges = {(up, down) for up, one in dag.task_dict.items() for down in one.downstream_task_ids}
    assert edges == {
        ("plan_scoring", "score_input"),
        ("score_input", "record_scores"),
        ("record_scores", LAST_TASK),
    }
    assert dag.task_dict[LAST_TASK].trigger_rule == "none_failed"  # the record may be skipped
    outlets = {task.task_id: task.outlets for task in dag.tasks if task.outlets}
    assert outlets == {"record_scores": [Asset(f"{MODEL}_scores")]}
    assert all(task.task_display_name != task.task_id for task in dag.tasks)


def test_new_input_or_a_new_champion_starts_a_run(dags: dict[str, DAG]) -> None:
    """Any one of the two assets is enough."""
    timetable: Any = dags[f"score_{MODEL}"].timetable
    condition = timetable.asset_condition
    assert type(condition).__name__ == "AssetAny"
    names = {asset.name for asset in condition.objects}
    assert names == {f"{MODEL}_input", f"{MODEL}_champion"}


def test_a_failure_is_recorded_and_told_whatever_ended_the_run(dags: dict[str, DAG]) -> None:
    """The DAG has the callbacks too, as no task's comes when a process is killed."""
    dag = dags[f"score_{MODEL}"]
    assert dag.on_failure_callback == [record_scoring_failure, stop_run_jobs]
    for task in dag.tasks:
        assert task.on_failure_callback == [record_scoring_failure]
    assert dag.doc_md is not None
    assert "## Triage" in dag.doc_md
