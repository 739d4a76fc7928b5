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
from include.orchestration.operators import run_tasks
from include.orchestration.operators.champion_asset import champion_asset
from include.retraining.config.model import load_model
from include.retraining.config.step_compute import LocalCompute
from include.retraining.decisions.record import Outcome
from include.retraining.decisions.records import decisions
from include.retraining.documents import sha256_of
from include.retraining.registry import promotion as registry
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext
from tests.support.run_callbacks import run_in

JOBS = {"validate_data": "validate", "train_model": "train", "evaluate_model": "evaluate"}


def plan(model: str, context: dict[str, Any]) -> bool:
    """Plan a run; return whether it has something to train."""
    is_new: bool = run_in(context, run_tasks.plan_run, load_model(model))
    return is_new


def judge(context: dict[str, Any]) -> bool:
    """Run the jobs and ask the gate; return whether it passed the challenger."""
    evaluated = None
    for task_id, step in JOBS.items():
        job = LocalJobOperator(task_id=task_id, step=step, compute=LocalCompute())  # type: ignore[arg-type]
        evaluated = job.execute(context)  # type: ignore[arg-type]
    assert evaluated is not None
    context["ti"].xcom_push("evaluated", evaluated)
    has_passed: bool = run_in(context, run_tasks.check_quality, context["ti"].xcoms["evaluated"])
    return has_passed


def deploy(context: dict[str, Any]) -> dict[str, Any]:
    """Promote; return what the task returns, and the asset's event holds."""
    champion, event = champion_asset("diabetes_progression"), SimpleNamespace(extra={})
    returned = run_in(
        {**context, "outlet_events": {champion: event}}, run_tasks.deploy_model, champion
    )
    assert returned == event.extra
    return event.extra


@pytest.mark.fault("A09", "F11", "H11")
def test_a_good_model_serves_and_the_same_again_changes_nothing(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """Promoted and notified once, with an event; the same data or a day too soon train nothing."""
    samples.land(store, "diabetes_progression")
    first = context(run_id="first")
    assert plan("diabetes_progression", first)
    xcoms = first["ti"].xcoms
    assert judge(first)
    planned, evaluated = xcoms["planned"], xcoms["evaluated"]
    assert set(planned) == {"run", "version", "fingerprint", "files", "bytes"}
    assert evaluated["version"] == planned["version"]
    assert (
        sha256_of(store.read(evaluated["report"].removeprefix(f"{store.uri}/")))
        == (evaluated["sha256"])
    )
    assert evaluated["metrics"]["r2"] > 0
    assert xcoms["verdict"] == "pass"
    assert xcoms["gates"]["minimum r2"]["answer"] == "pass"

    event = deploy(first)
    assert event == {"version": planned["version"], "generation": 1, "run": planned["run"]}
    assert deploy(first) == event  # a retry of the task says the same
    (message,) = slack.messages
    assert "a new version serves" in message["text"]
    assert "/dags/retrain_diabetes_progression/runs/first|run>" in json.dumps(message)

    samples.land(store, "diabetes_progression")
    second = context(run_id="second")
    assert not plan("diabetes_progression", second)
    records = {record.run_id: record for record in decisions(store, "diabetes_progression")}
    assert records["second"].outcome is Outcome.NO_CHANGE
    assert "since the decision of run first" in records["second"].reason

    third = context(run_id="third")
    assert not plan("diabetes_progression", third)
    third_record = next(r for r in decisions(store, "diabetes_progression") if r.run_id == "third")
    assert third_record.reason == records["second"].reason

    patients = samples.diabetes_progression().splitlines(keepends=True)
    store.write("landing/diabetes_progression/patients.csv", b"".join(patients[:-1]))
    samples.raise_flag(store, "landing/diabetes_progression")
    config = load_model("diabetes_progression")
    gates = config.gates.model_copy(update={"min_days_between_promotions": 7})
    weekly = config.model_copy(update={"gates": gates})
    assert not run_in(context(run_id="fourth"), run_tasks.plan_run, weekly)
    fourth = next(r for r in decisions(store, "diabetes_progression") if r.run_id == "fourth")
    assert fourth.outcome is Outcome.TOO_SOON
    assert fourth.reason.startswith("nothing was trained: version ")
    assert len(slack.messages) == 1


def test_an_unfair_model_is_refused_loudly(
    store: Store, slack: SlackReceiver, context: MakeContext, caplog: pytest.LogCaptureFixture
) -> None:
    """The reason is the first line of the log, the error, and the message."""
    samples.land(store, "loan_approval")
    now = context(dag_id="retrain_loan_approval")
    plan("loan_approval", now)
    assert not judge(now)
    caplog.clear()
    with pytest.raises(AirflowFailException) as error:
        run_in(now, run_tasks.abort_pipeline, fails=True)
    assert "race" in str(error.value)
    assert caplog.messages[0] == str(error.value)
    (message,) = slack.messages
    assert "the new version was refused" in message["text"]
    assert "race" in message["text"]
    # `on_rejection: succeed` keeps such a run green, with the same record.
    text = run_in(now, run_tasks.abort_pipeline, fails=False)
    assert text == str(error.value)
    assert len(slack.messages) == 1


def test_a_dry_run_promotes_nothing_and_emits_nothing(
    store: Store, slack: SlackReceiver, context: MakeContext
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
