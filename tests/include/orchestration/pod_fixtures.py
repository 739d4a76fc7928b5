"""What tests of steps in pods need: a store, a planned run, a cluster. For `pytest_plugins`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from include.local_airflow import samples
from include.orchestration.plan_run import PlanRunOperator
from include.retraining import registry
from include.retraining.config import load_model
from include.retraining.storage import Store
from tests.include.orchestration.pod_tasks import ROOT
from tests.kubernetes_api import KubernetesApi, kubernetes_api


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
