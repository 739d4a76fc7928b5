"""Tests of steps in pods: the provider's operator and trigger, an API on loopback, real jobs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from airflow.triggers.base import BaseTrigger

from include.local_airflow import samples
from include.orchestration.kubernetes_job import KubernetesJobOperator
from include.orchestration.plan_run import PlanRunOperator
from include.orchestration.run_reference import run_reference
from include.retraining import registry
from include.retraining.compute import KubernetesCompute
from include.retraining.config import load_model
from include.retraining.manifest import read_manifest
from include.retraining.results import read_result
from include.retraining.storage import Store
from tests.kubernetes_api import KubernetesApi, kubernetes_api
from tests.kubernetes_pods import Script

ROOT = Path(__file__).resolve().parents[3]
IMAGE = "example.org/retraining@sha256:" + "a" * 64


@pytest.fixture
def store(folder_store: Store, store_is: Callable[..., None]) -> Store:
    """An initialised store that the Airflow connection names, with a delivery in it."""
    store_is(folder_store.uri)
    registry.initialise(folder_store.uri)
    samples.land(folder_store, "diabetes_progression")
    return folder_store


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApi]:
    """A cluster that the Airflow connection leads to."""
    with kubernetes_api(ROOT) as running:
        monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", running.connection())
        yield running


@pytest.fixture
def planned(store: Store, context: Any) -> dict[str, Any]:
    """The context of a run that is planned."""
    plan = PlanRunOperator(
        task_id="plan_run",
        config=load_model("diabetes_progression"),
        when_new="validate_data",
        when_unchanged="no_change",
    )
    now: dict[str, Any] = context(task_id="plan_run")
    assert plan.choose_branch(now) == "validate_data"
    now["ti"].dag_id, now["ti"].map_index = now["dag"].dag_id, -1
    now["ti"].start_date = datetime.now(UTC)
    return now


def compute(**fields: Any) -> KubernetesCompute:
    """What a step may use, and a short patience."""
    settings = {"namespace": "models", "cpu": 1, "memory": "1GiB", "poll_seconds": 0.2, **fields}
    return KubernetesCompute(backend="kubernetes", image=IMAGE, **settings)


def job(step: Any = "validate", together: Any = None, **fields: Any) -> KubernetesJobOperator:
    """The operator of one step."""
    return KubernetesJobOperator(
        task_id=f"{step}_it", step=step, together=together, compute=compute(**fields)
    )


def event_of(trigger: BaseTrigger) -> dict[str, Any]:
    """Return what a trigger fires, made anew from its fields as in the triggerer."""
    _, fields = trigger.serialize()

    async def first() -> Any:
        events = type(trigger)(**fields).run()
        try:
            return (await asyncio.wait_for(anext(events), 60)).payload
        finally:
            await events.aclose()

    return json.loads(json.dumps(asyncio.run(first()), default=str))


def deferred(task: KubernetesJobOperator, context: dict[str, Any]) -> TaskDeferred:
    """Start a task and return what it waits for."""
    with pytest.raises(TaskDeferred) as error:
        task.execute(context)
    return error.value


def finish(wait: TaskDeferred, make: Callable[[], Any], context: dict[str, Any]) -> None:
    """Wait as the triggerer does, and go on as a worker does, until the task has ended."""
    while True:
        event = event_of(wait.trigger)
        try:
            return getattr(make(), wait.method_name)(context, event)
        except TaskDeferred as again:
            wait = again


def run(make: Callable[[], KubernetesJobOperator], context: dict[str, Any]) -> None:
    """Run a task to its end."""
    try:
        make().execute(context)
    except TaskDeferred as wait:
        finish(wait, make, context)


def test_a_step_leaves_evidence(
    store: Store, planned: dict[str, Any], api: KubernetesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real validation runs in a pod, its lines reach the log, and its result verifies."""
    run(job, planned)
    paths = run_reference(planned).paths
    assert read_result(store, paths, read_manifest(store, paths), "validate").rows == 442
    assert len(api.submissions()) == 1
    assert api.names() == []
    assert "rows" in capsys.readouterr().out
