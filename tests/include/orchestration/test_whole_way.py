"""Tests of the tasks one after the other, with the models that ship and real jobs."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.local_airflow.demo import samples
from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.backends.local.operator import LocalJobOperator
from include.orchestration.operators.abort_pipeline import AbortPipelineOperator
from include.orchestration.operators.check_quality import CheckQualityOperator
from include.orchestration.operators.deploy_model import DeployModelOperator
from include.orchestration.operators.plan_run import PlanRunOperator
from include.retraining.config.model import load_model
from include.retraining.config.step_compute import LocalCompute
from include.retraining.decisions.record import Outcome
from include.retraining.decisions.records import decisions
from include.retraining.registry import promotion as registry
from include.retraining.store.object_store import Store

JOBS = {"validate_data": "validate", "train_model": "train", "evaluate_model": "evaluate"}


def plan(model: str, context: dict[str, Any]) -> str:
    """Plan a run and return the task that comes next."""
    task = PlanRunOperator(
        task_id="plan_run",
        config=load_model(model),
        when_new="validate_data",
        when_unchanged="no_change",
    )
    return task.choose_branch(context)


def judge(context: dict[str, Any]) -> list[str]:
    """Run the jobs and ask the gate; return the tasks that come next."""
    for task_id, step in JOBS.items():
        LocalJobOperator(task_id=task_id, step=step, compute=LocalCompute()).execute(context)  # type: ignore[arg-type]
    gate = CheckQualityOperator(
        task_id="check_quality", when_passed=["deploy_model"], when_refused=["abort_pipeline"]
    )
    return gate.choose_branch(context)


def deploy(context: dict[str, Any]) -> dict[str, Any]:
    """Promote; return what the asset's event would hold."""
    task = DeployModelOperator(task_id="deploy_model", model="diabetes_progression")
    event = SimpleNamespace(extra={})
    task.execute({**context, "outlet_events": {task.champion: event}})
    return event.extra


@pytest.mark.fault("A09", "F11", "H11")
def test_a_good_model_serves_and_the_same_again_changes_nothing(
    store: Store, slack: SlackReceiver, context: Any
) -> None:
    """Promoted once, told once, with an event; the next run with the same data trains nothing."""
    samples.land(store, "diabetes_progression")
    first = context(run_id="first")
    assert plan("diabetes_progression", first) == "validate_data"
    xcoms = first["ti"].xcoms
    assert set(xcoms) == {"run", "version", "fingerprint", "files", "bytes"}
    assert judge(first) == ["deploy_model"]
    assert xcoms["verdict"] == "pass"
    assert xcoms["gates"]["minimum r2"]["answer"] == "pass"

    event = deploy(first)
    assert event == {"version": xcoms["version"], "generation": 1, "run": xcoms["run"]}
    assert deploy(first) == event  # a retry of the task says the same
    (message,) = slack.messages
    assert "a new version serves" in message["text"]
    assert "/dags/retrain_diabetes_progression/runs/first|run>" in json.dumps(message)

    samples.land(store, "diabetes_progression")
    second = context(run_id="second")
    assert plan("diabetes_progression", second) == "no_change"
    records = {record.run_id: record for record in decisions(store, "diabetes_progression")}
    assert records["second"].outcome is Outcome.NO_CHANGE
    assert "since the decision of run first" in records["second"].reason

    third = context(run_id="third")
    assert plan("diabetes_progression", third) == "no_change"
    third_record = next(r for r in decisions(store, "diabetes_progression") if r.run_id == "third")
    assert third_record.reason == records["second"].reason
    assert len(slack.messages) == 1


def test_an_unfair_model_is_refused_loudly(
    store: Store, slack: SlackReceiver, context: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason is the first line of the log, the error, and the message."""
    samples.land(store, "loan_approval")
    now = context(dag_id="retrain_loan_approval")
    plan("loan_approval", now)
    assert judge(now) == ["abort_pipeline"]
    capsys.readouterr()
    with pytest.raises(AirflowFailException) as error:
        AbortPipelineOperator(task_id="abort_pipeline", is_failure=True).execute(now)
    assert "race" in str(error.value)
    ours = [line for line in capsys.readouterr().out.splitlines() if "Task Runner" not in line]
    assert str(error.value) in ours[0]
    (message,) = slack.messages
    assert "the new version was refused" in message["text"]
    assert "race" in message["text"]
    # `on_rejection: succeed` keeps such a run green, with the same record.
    text = AbortPipelineOperator(task_id="abort_pipeline", is_failure=False).execute(now)
    assert text == str(error.value)
    assert len(slack.messages) == 1


def test_a_dry_run_promotes_nothing_and_emits_nothing(
    store: Store, slack: SlackReceiver, context: Any
) -> None:
    """The task ends as skipped, the record says what would have been."""
    samples.land(store, "diabetes_progression")
    now = context(conf={"dry_run": True})
    plan("diabetes_progression", now)
    judge(now)
    with pytest.raises(AirflowSkipException, match="dry run: it would have been promoted"):
        deploy(now)
    assert registry.Registry(store, "diabetes_progression").log.champion() is None
    (record,) = decisions(store, "diabetes_progression")
    assert record.outcome is Outcome.DRY_RUN
