"""Tests of what is asked of the cluster: the requests as they reach it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.orchestration.runtime.run_reference import run_reference
from include.orchestration.runtime.store import store_address
from tests.support.deferred_tasks import deferred, run
from tests.support.kubernetes_api import KubernetesApi
from tests.support.pod_tasks import ENDLESS, IMAGE, job, stub


def test_the_pod_is_what_the_model_says(planned: dict[str, Any], api: KubernetesApi) -> None:
    """Resources, nodes, account and limits are in the request, and the job's command is."""
    stub(api, ENDLESS)
    task = job(
        cpu=1.5,
        cpu_limit=3,
        memory="4GiB",
        gpu=2,
        node_selector={"disk": "ssd"},
        tolerations=[{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        service_account="trainer",
        priority_class="nightly",
        timeout_seconds=900,
    )
    deferred(task, planned)
    (request,) = api.calls("POST")
    spec, container = request.body["spec"], request.body["spec"]["containers"][0]
    assert request.path == "/api/v1/namespaces/models/pods"
    assert container["resources"] == {
        "requests": {"cpu": "1.5", "memory": "4096Mi"},
        "limits": {"cpu": "3", "memory": "4096Mi", "nvidia.com/gpu": "2"},
    }
    assert spec["nodeSelector"] == {"disk": "ssd"}
    (toleration,) = spec["tolerations"]
    assert toleration["key"] == "gpu"
    assert toleration["effect"] == "NoSchedule"
    assert spec["serviceAccountName"] == "trainer"
    assert spec["priorityClassName"] == "nightly"
    assert spec["activeDeadlineSeconds"] == 900
    assert spec["restartPolicy"] == "Never"
    assert container["image"] == IMAGE
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["args"] == [
        *("validate", "--run", run_reference(planned).paths.uri(store_address().uri)),
        *("--attempt", "job-001", "--claim", "1"),
    ]


def test_a_pod_has_no_rights(planned: dict[str, Any], api: KubernetesApi) -> None:
    """No root, no privileges, no token of the cluster, no path of the node."""
    stub(api, ENDLESS)
    deferred(job(), planned)
    spec = api.calls("POST")[0].body["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    security = spec["containers"][0]["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert not spec.get("volumes")
    assert not spec.get("hostNetwork")


def test_memory_has_its_own_limit_where_the_model_says_so(
    planned: dict[str, Any], api: KubernetesApi
) -> None:
    """The limit is the request unless it is given; CPU has none."""
    stub(api, ENDLESS)
    deferred(job(memory_limit="2GiB"), planned)
    resources = api.calls("POST")[0].body["spec"]["containers"][0]["resources"]
    assert resources["requests"]["memory"] == "1024Mi"
    assert resources["limits"] == {"memory": "2Gi"}


def test_secrets_are_named_and_never_sent(planned: dict[str, Any], api: KubernetesApi) -> None:
    """The job gets a secret's value from the cluster; no request of ours holds it (V8)."""
    api.secrets["warehouse", "password"] = "canary-of-the-cluster"
    stub(api, "(RUN / 'seen').write_text(os.environ['PASSWORD'])")
    secret = {"env": "PASSWORD", "secret": "warehouse", "key": "password"}
    with pytest.raises(AirflowFailException):
        run(lambda: job(secrets=[secret]), planned)
    seen = Path(store_address().uri.removeprefix("file://"))
    assert (seen / run_reference(planned).paths.folder / "seen").read_text() == (
        "canary-of-the-cluster"
    )
    assert "canary" not in json.dumps([request.body for request in api.requests])


def test_nothing_of_the_workers_environment_is_sent(
    planned: dict[str, Any], api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables, connections and keys of the worker stay there (V8)."""
    for name in ("AIRFLOW_CONN_OTHER", "AWS_SECRET_ACCESS_KEY", "AIRFLOW__CORE__FERNET_KEY"):
        monkeypatch.setenv(name, "canary")
    stub(api, ENDLESS)
    deferred(job(cpu=2.5), planned)
    container = api.calls("POST")[0].body["spec"]["containers"][0]
    sent = {variable["name"]: variable["value"] for variable in container["env"]}
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
    assert sent == {"PYTHONUNBUFFERED": "1", **dict.fromkeys(threads, "2")}
    assert "canary" not in json.dumps([request.body for request in api.requests])


@pytest.mark.fault("K12")
def test_a_run_cannot_change_the_pod(planned: dict[str, Any], api: KubernetesApi) -> None:
    """Parameters of a run name neither namespace, account nor paths, whatever they hold (K12)."""
    evil = {"namespace": "kube-system", "service_account": "root", "volumes": [{"hostPath": "/"}]}
    planned["params"].update(evil)
    planned["dag_run"].conf = {**evil, "image": "evil"}
    stub(api, ENDLESS)
    deferred(job(), planned)
    (request,) = api.calls("POST")
    assert request.path == "/api/v1/namespaces/models/pods"
    text = json.dumps(request.body)
    assert not any(word in text for word in ("kube-system", 'root"', "hostPath", "evil"))
