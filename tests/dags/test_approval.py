"""Tests of the graph of a model whose promotions a person must approve."""

from __future__ import annotations

import json
import runpy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from include.orchestration.operators import run_tasks
from include.retraining.config.model import load_model
from tests.support.scenes import TASKS

ROOT = Path(__file__).resolve().parents[2]
ASKED = "approve_promotion"

# Airflow's own use of a library.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    """The DAGs of this repository, and one of a model that asks, for two hours."""
    made = runpy.run_path(str(ROOT / "dags" / "retrain_pipeline.py"))
    config = load_model("diabetes_progression")
    changes = {"name": "asking", "approval": "required", "approval_hours": 2}
    asking = made["retrain"](config.model_copy(update=changes))
    return {dag.dag_id: dag for dag in [*made["DAGS"], asking]}


@pytest.fixture
def dag(dags: dict[str, DAG]) -> DAG:
    """The DAG of the model that asks."""
    return dags["retrain_asking"]


def test_the_question_stands_between_the_gate_and_the_promotion(
    dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing leads to the promotion but the question, and only the gate leads to the question."""
    assert set(dag.task_ids) == {*TASKS, ASKED}
    assert dag.task_dict["deploy_model"].upstream_task_ids == {ASKED}
    assert dag.task_dict[ASKED].upstream_task_ids == {"check_quality"}
    assert dag.task_dict[ASKED].downstream_task_ids == {"deploy_model", "abort_pipeline"}
    assert dag.task_dict["abort_pipeline"].upstream_task_ids == {ASKED, "check_quality"}
    gate: Any = dag.task_dict["check_quality"]
    for answer, behind in ((True, ASKED), (False, "abort_pipeline")):
        monkeypatch.setattr(run_tasks, "check_quality", lambda _, answer=answer: answer)
        assert gate.python_callable(None) == [behind, "publish_card"]


def test_only_the_refusal_runs_past_a_skipped_task(dag: DAG) -> None:
    """The gate's no skips the question and still leads to the refusal; a failure stops both."""
    rules = {task.task_id: str(task.trigger_rule.value) for task in dag.tasks}
    assert rules.pop("end_of_grading") == "all_done"
    assert rules.pop("abort_pipeline") == "none_failed_min_one_success"
    assert set(rules.values()) == {"all_success"}


def test_an_answer_leads_where_it_says_and_none_is_a_no(dag: DAG) -> None:
    """Approve promotes; Reject refuses, and is what no answer means."""
    task: Any = dag.task_dict[ASKED]
    assert task.options_mapping == {"Approve": "deploy_model", "Reject": "abort_pipeline"}
    assert task.defaults == ["Reject"]
    assert task.response_timeout == timedelta(hours=2)
    assert task.execution_timeout is None


def test_every_edge_of_the_question_says_when_it_is_taken(dag: DAG) -> None:
    """The graph reads by itself."""
    found = {
        (up, down): info.get("label")
        for up, ends in dag.edge_info.items()
        for down, info in ends.items()
    }
    assert found[("check_quality", ASKED)] == "every gate passed"
    assert found[(ASKED, "deploy_model")] == "approved"
    assert found[(ASKED, "abort_pipeline")] == "rejected, or no answer"
    assert dag.task_dict[ASKED].task_display_name == "Manual approval"


def test_the_run_may_wait_as_long_as_the_question(dags: dict[str, DAG]) -> None:
    """The run's own limit leaves room for the wait, of every try."""
    asking = dags["retrain_asking"].dagrun_timeout
    silent = dags["retrain_diabetes_progression"].dagrun_timeout
    assert asking is not None
    assert silent is not None
    assert asking - silent == 3 * timedelta(hours=2)


def test_it_can_be_stored(dag: DAG) -> None:
    """What Airflow keeps of it is plain JSON."""
    assert json.dumps(DagSerialization.to_dict(dag))


def test_other_models_ask_nobody(dags: dict[str, DAG]) -> None:
    """Without `approval: required` the graph is as it was."""
    others = [dag for dag_id, dag in dags.items() if dag_id not in {"retrain_asking"}]
    assert len(others) >= 2
    assert not [dag.dag_id for dag in others if ASKED in dag.task_ids]
