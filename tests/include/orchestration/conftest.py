"""An Airflow that costs nothing: no database, connections from the environment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import BaseOperator

from include.local_airflow.demo import samples
from include.local_airflow.slack_receiver import SlackReceiver
from include.retraining.config.model import load_model
from include.retraining.store import marker as store_marker
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext
from tests.support.kubernetes_api import KubernetesApi, kubernetes_api

ROOT = Path(__file__).resolve().parents[3]

RUN_AFTER = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


class RecordingTaskInstance(SimpleNamespace):
    """A task instance that keeps the XComs it is given."""

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep a value, in the form that Airflow would store."""
        self.xcoms[key] = json.loads(json.dumps(value))


@pytest.fixture
def context() -> MakeContext:
    """Make the part of a task's context that our tasks read."""

    def make(
        *,
        dag_id: str = "retrain_diabetes_progression",
        task_id: str = "a_task",
        run_id: str = "manual__2026-11-24T06:00:00+00:00",
        run_after: datetime = RUN_AFTER,
        conf: dict[str, Any] | None = None,
        try_number: int = 1,
        clear: int = 0,
        bundle: Path = ROOT,
        **more: Any,
    ) -> dict[str, Any]:
        ti = RecordingTaskInstance(
            dag_id=dag_id,
            task_id=task_id,
            map_index=-1,
            start_date=datetime.now(UTC),
            try_number=try_number,
            log_url=f"http://127.0.0.1:8080/dags/{dag_id}/runs/x/tasks/{task_id}",
            bundle_instance=SimpleNamespace(path=bundle, version=None, name="retraining"),
            xcoms={},
            task=BaseOperator(task_id=task_id),
        )
        dag_run = SimpleNamespace(
            dag_id=dag_id,
            run_id=run_id,
            run_after=run_after,
            clear_number=clear,
            start_date=None,
            run_type="manual",
            triggering_user_name="ada",
            conf=conf,
        )
        defaults = {"dry_run": False, "force_retrain": False, "date": None, "reason": None}
        return {
            "dag": SimpleNamespace(dag_id=dag_id, fileloc=str(ROOT / "dags" / "x.py")),
            "dag_run": dag_run,
            "run_id": run_id,
            "ti": ti,
            "params": {**defaults, **(conf or {})},
            **more,
        }

    return make


@pytest.fixture
def store_is(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the Airflow connection `store`."""

    def connect(uri: str, **fields: Any) -> None:
        extra = {"uri": uri, **fields.pop("extra", {})}
        connection = {"conn_type": "generic", "extra": extra, **fields}
        monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))

    return connect


@pytest.fixture
def store(folder_store: Store, store_is: Callable[..., None]) -> Store:
    """An initialised store that the Airflow connection names."""
    store_is(folder_store.uri)
    return store_marker.initialise(folder_store.uri)


@pytest.fixture
def slack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackReceiver]:
    """A receiver that stands in for Slack."""
    with SlackReceiver(tmp_path / "slack.jsonl") as receiver:
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_ALERTS", receiver.connection)
        yield receiver


@pytest.fixture
def planned(store: Store, context: MakeContext) -> dict[str, Any]:
    """The context of a run that is planned, on data that have been delivered."""
    from include.orchestration.operators import run_tasks
    from tests.support.run_callbacks import run_in

    samples.land(store, "diabetes_progression")
    now: dict[str, Any] = context(task_id="plan_run")
    assert run_in(now, run_tasks.plan_run, load_model("diabetes_progression")) is True
    return now


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApi]:
    """A Kubernetes cluster that the Airflow connection leads to."""
    with kubernetes_api(ROOT) as running:
        monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", running.connection())
        yield running
