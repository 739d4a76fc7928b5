"""Rights that a single task has, where KubernetesExecutor gives each task a pod of its own.

The other executors ignore it: there all tasks have the rights of their worker.
"""

from __future__ import annotations

import os
from typing import Any

CLEANER_ACCOUNT = "RETRAINING_CLEANER_SERVICE_ACCOUNT"
DATABASE_SECRET = "RETRAINING_DATABASE_SECRET"  # noqa: S105 the name of a variable


def as_cleaner() -> dict[str, Any]:
    """Return the `executor_config` of a task that may remove objects of the store.

    Its pod has the service account that `RETRAINING_CLEANER_SERVICE_ACCOUNT` names.
    """
    account = os.environ.get(CLEANER_ACCOUNT)
    return _own_pod(service_account_name=account) if account else {}


def with_database() -> dict[str, Any]:
    """Return the `executor_config` of a task that may open Airflow's database.

    Its pod has the connection `airflow_db`, from `connection` of the Secret that
    `RETRAINING_DATABASE_SECRET` names.
    """
    secret = os.environ.get(DATABASE_SECRET)
    if not secret:
        return {}
    from kubernetes.client import models as k8s  # type: ignore[import-untyped]

    source = k8s.V1EnvVarSource(
        secret_key_ref=k8s.V1SecretKeySelector(name=secret, key="connection")
    )
    return _own_pod(env=[k8s.V1EnvVar(name="AIRFLOW_CONN_AIRFLOW_DB", value_from=source)])


def _own_pod(*, env: list[Any] | None = None, **spec: Any) -> dict[str, Any]:
    # Half a second, for the one DAG that needs it where there is Kubernetes.
    from kubernetes.client import models as k8s

    container = k8s.V1Container(name="base", env=env)
    return {"pod_override": k8s.V1Pod(spec=k8s.V1PodSpec(containers=[container], **spec))}
