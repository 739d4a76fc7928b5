"""Whether there is a way to a cluster, before anything is asked of it.

Without one, the provider asks a cluster that is not there again and again, and each try of the task
does: minutes, for a sentence that names no connection.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from include.orchestration.runtime.connections import query_backends
from include.retraining.config.kubernetes_compute import KubernetesCompute
from include.retraining.exceptions import ConfigError, InfrastructureError

# Without one of this name, the provider's hook takes the pod's own account or the kubeconfig.
DEFAULT = "kubernetes_default"
TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
EXAMPLE = {"conn_type": "kubernetes", "extra": {"kube_config_path": "/path/to/config"}}


def check_cluster(compute: KubernetesCompute) -> None:
    """Refuse to continue when no connection names the cluster.

    Raises:
        ConfigError: naming the connection that is missing, and how to make it.
        InfrastructureError: when that is unknown: a backend does not answer.
    """
    name = compute.connection
    answers = query_backends(name)
    if any(one.connection is not None for one in answers):
        return
    if name == DEFAULT and (_is_in_a_pod() or _has_kubeconfig()):
        return
    silent = [f"{one.place} did not answer ({one.problem})" for one in answers if one.problem]
    if silent:
        raise InfrastructureError(f"the Airflow connection {name!r}: {'; '.join(silent)}")
    looked = " and ".join(one.place for one in answers)
    raise ConfigError(
        f"there is no Airflow connection {name!r} (compute.STEP.connection), and so no way to the "
        f"cluster of the namespace {compute.namespace!r}: it is not in {looked}. Make one of the "
        f"type Kubernetes Cluster Connection, for example AIRFLOW_CONN_{name.upper()}="
        f"'{json.dumps(EXAMPLE)}'; `python -m include.orchestration.check_connections` looks for "
        "all that are needed"
    )


def _is_in_a_pod() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ and TOKEN.exists()


def _has_kubeconfig() -> bool:
    named = os.environ.get("KUBECONFIG")
    files = (
        named.split(os.pathsep) if named else [Path(os.environ.get("HOME", "/"), ".kube", "config")]
    )
    return any(Path(file).exists() for file in files)
