"""Tests of the DAG that removes what no one needs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
from kubernetes.client import models as k8s

from include.orchestration.upkeep.alert import notify_failed_upkeep
from tests.support.repository_copy import REPOSITORY

# Airflow's own use of a library.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")


def parsed() -> DAG:
    """Return the DAG as its file makes it now."""
    file = REPOSITORY / "dags" / "upkeep.py"
    bag = BundleDagBag(dag_folder=file, bundle_path=REPOSITORY, bundle_name="retraining")
    assert bag.import_errors == {}
    found: DAG = bag.dags["upkeep"]
    return found


def test_it_works_by_itself_each_night_and_neither_task_stops_the_other() -> None:
    """Nobody has to unpause it, no night is made up for, and someone hears of a failure."""
    dag = parsed()
    assert dag.is_paused_upon_creation is False
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert set(dag.task_ids) == {"remove_garbage", "trim_database"}
    assert all(not task.upstream_task_ids for task in dag.tasks)
    assert dag.on_failure_callback == [notify_failed_upkeep]
    for task in dag.tasks:
        assert list(task.on_failure_callback) == [notify_failed_upkeep]
        assert task.task_display_name != task.task_id
        assert not task.executor_config
    assert json.dumps(DagSerialization.to_dict(dag))


def pod_of(dag: DAG, task_id: str) -> k8s.V1Pod:
    """Return the pod that KubernetesExecutor makes for a task."""
    base = k8s.V1Pod(
        metadata=k8s.V1ObjectMeta(),
        spec=k8s.V1PodSpec(
            service_account_name="airflow-worker", containers=[k8s.V1Container(name="base")]
        ),
    )
    override: Any = dag.task_dict[task_id].executor_config["pod_override"]
    return PodGenerator.construct_pod(
        dag_id=dag.dag_id,
        task_id=task_id,
        pod_id=task_id,
        try_number=1,
        kube_image="registry/retraining-airflow:1",
        date=datetime(2026, 11, 28, tzinfo=UTC) - timedelta(days=1),
        args=["airflow"],
        pod_override_object=override,
        base_worker_pod=base,
        namespace="airflow",
        scheduler_job_id="1",
        run_id="run",
    )


def test_on_kubernetes_each_task_has_the_one_right_that_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database's address is in one pod, and the account that may remove is another's."""
    monkeypatch.setenv("RETRAINING_DATABASE_SECRET", "retraining-database")
    monkeypatch.setenv("RETRAINING_CLEANER_SERVICE_ACCOUNT", "retraining-cleaner")
    dag = parsed()
    cleans, trims = (pod_of(dag, name).spec for name in ("remove_garbage", "trim_database"))
    assert cleans.service_account_name == "retraining-cleaner"
    assert trims.service_account_name == "airflow-worker"
    given = {item.name: item.value_from for item in trims.containers[0].env}
    secret = given["AIRFLOW_CONN_AIRFLOW_DB"].secret_key_ref
    assert (secret.name, secret.key) == ("retraining-database", "connection")
    names = {item.name for item in cleans.containers[0].env or []}
    assert "AIRFLOW_CONN_AIRFLOW_DB" not in names
    assert json.dumps(DagSerialization.to_dict(dag))
