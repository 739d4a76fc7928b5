"""Tests of why a pod failed or never started, in the error and in the store."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.orchestration.backends.kubernetes.failure import why_failed, why_not_started
from include.retraining.exceptions import StepFailed
from include.retraining.store.object_store import Store
from tests.support.deferred_tasks import deferred, event_of, finish, run
from tests.support.kubernetes_api import KubernetesApi
from tests.support.kubernetes_pods import Script
from tests.support.pod_tasks import ENDLESS, compute, failure_left, job, only_pod, stub


@pytest.mark.fault("K09")
def test_success_without_a_result_is_a_failure(planned: dict[str, Any], api: KubernetesApi) -> None:
    """A pod that ends well and leaves nothing fails the task; when cleared, another runs (K09)."""
    api.scripts.append(Script("succeed", times=1))
    with pytest.raises(AirflowFailException, match="'validate' left no result"):
        run(job, planned)
    run(job, planned)
    assert len(api.submissions()) == 2


def test_the_jobs_own_words_are_the_reason(
    store: Store, planned: dict[str, Any], api: KubernetesApi
) -> None:
    """What the step said fails the task without a retry; a cleared task tries anew."""
    data = next(info.key for info in store.objects("landing") if info.key.endswith(".csv"))
    content = store.read(data)
    store.write(data, content + b"1,2,3\n")
    with pytest.raises(AirflowFailException, match=r"^validate: .*\.csv"):
        run(job, planned)
    assert failure_left(store, planned).kind == "data_changed"
    assert only_pod(api)["status"]["phase"] == "Failed"  # it stays, to be looked at
    store.write(data, content)
    run(job, planned)
    assert len(api.submissions()) == 2


def test_a_job_that_could_not_open_the_store_says_why_in_its_last_line(
    planned: dict[str, Any], api: KubernetesApi
) -> None:
    """The line that a job prints when it fails is used when the store has nothing."""
    stub(api, "print('validate failed (storage): the bucket says no'); sys.exit(75)")
    with pytest.raises(StepFailed, match=r"^validate: the bucket says no$") as error:
        run(job, planned)
    assert error.value.kind == "storage"


def test_out_of_memory_names_what_was_asked_for(
    store: Store, planned: dict[str, Any], api: KubernetesApi
) -> None:
    """The reason is the cluster's, and no retry will do."""
    api.scripts.append(Script("out of memory"))
    with pytest.raises(AirflowFailException, match=r"out of memory: .* asked for 1024MiB"):
        run(job, planned)
    assert failure_left(store, planned).kind == "out_of_memory"


def test_a_pod_that_failed_while_nobody_looked_is_the_next_trys_reason(
    planned: dict[str, Any], api: KubernetesApi
) -> None:
    """The worker died; the next try reports the failure before any other pod is tried."""
    stub(api, "time.sleep(600)")
    deferred(job(timeout_seconds=1), planned)
    api.wait_for(lambda: only_pod(api)["status"]["phase"] == "Failed")
    with pytest.raises(AirflowFailException, match="took longer than 1 s"):
        job().execute(planned)
    deferred(job(), planned)
    assert len(api.submissions()) == 2


def test_an_endless_job_is_ended_by_the_cluster(
    store: Store, planned: dict[str, Any], api: KubernetesApi
) -> None:
    """The time limit is the model's, and the error says it (C08)."""
    stub(api, ENDLESS)
    with pytest.raises(AirflowFailException, match="validate: took longer than 1 s"):
        run(lambda: job(timeout_seconds=1), planned)
    assert failure_left(store, planned).kind == "timeout"


def test_a_lost_node_is_worth_another_try(planned: dict[str, Any], api: KubernetesApi) -> None:
    """An evicted pod is retried, with another pod."""
    api.scripts.append(Script("evict", times=1))
    with pytest.raises(StepFailed, match=r"ended by its node \(Evicted\): The node was low"):
        run(job, planned)
    run(job, planned)
    assert len(api.submissions()) == 2


@pytest.mark.fault("K08")
def test_an_unschedulable_pod_is_given_up(
    store: Store, planned: dict[str, Any], api: KubernetesApi
) -> None:
    """After the startup timeout the pod is deleted and the error has the event's text (K08)."""
    api.scripts.append(Script("unschedulable", times=1))
    with pytest.raises(StepFailed, match="within 1 s: 0/3 nodes are available: insufficient mem"):
        run(lambda: job(startup_timeout_seconds=1), planned)
    assert failure_left(store, planned).kind == "no_capacity"
    assert api.names() == []
    run(job, planned)
    assert len(api.submissions()) == 2


@pytest.mark.fault("K08")
def test_an_image_that_is_not_there_is_given_up_at_once(
    store: Store, planned: dict[str, Any], api: KubernetesApi
) -> None:
    """The pod is deleted, the error has the cluster's text, and no retry will do (K08)."""
    api.scripts.append(Script("image pull"))
    with pytest.raises(AirflowFailException, match=r"cannot be pulled \(ImagePullBackOff\): Back"):
        run(job, planned)
    assert failure_left(store, planned).kind == "image"
    assert api.names() == []


def test_a_missing_secret_is_named(planned: dict[str, Any], api: KubernetesApi) -> None:
    """A pod that cannot start for want of a secret says which one."""
    secret = {"env": "PASSWORD", "secret": "warehouse", "key": "password"}
    with pytest.raises(AirflowFailException, match=r"cannot start \(Create.*warehouse"):
        run(lambda: job(secrets=[secret], startup_timeout_seconds=1), planned)
    assert api.names() == []


def test_a_refusal_is_the_error(planned: dict[str, Any], api: KubernetesApi) -> None:
    """What the cluster says to the request is the error, in one line, without a retry."""
    api.scripts.append(Script("refuse"))
    with pytest.raises(AirflowFailException, match="refused the pod: pods is forbidden: User"):
        job().execute(planned)


def test_a_full_quota_is_worth_another_try(
    store: Store, planned: dict[str, Any], api: KubernetesApi
) -> None:
    """A namespace without room is a want of capacity."""
    full = 'pods "x" is forbidden: exceeded quota: models, requested: memory=1Gi'
    api.scripts.append(Script("refuse", message=full, times=1))
    with pytest.raises(StepFailed, match="exceeded quota: models"):
        job().execute(planned)
    assert failure_left(store, planned).kind == "no_capacity"
    run(job, planned)


@pytest.mark.fault("K06")
def test_a_pod_that_is_gone_after_its_work_is_no_failure(
    planned: dict[str, Any], api: KubernetesApi
) -> None:
    """The result decides, not the pod (K06)."""
    wait = deferred(job(), planned)
    event = event_of(wait.trigger)
    assert event["status"] == "success"
    api.vanish(api.names()[0])
    job().trigger_reentry(planned, event)


@pytest.mark.fault("K06")
def test_a_pod_that_is_gone_before_its_work_says_so(
    store: Store, planned: dict[str, Any], api: KubernetesApi
) -> None:
    """The error says that the pod is gone and left nothing, and the next try has another (K06)."""
    stub(api, ENDLESS)
    wait = deferred(job(), planned)
    api.vanish(api.names()[0])
    with pytest.raises(StepFailed, match="is gone, and the job left neither"):
        finish(wait, job, planned)
    assert failure_left(store, planned).kind == "job_killed"
    deferred(job(), planned)
    assert len(api.submissions()) == 2


def state_of(**fields: Any) -> SimpleNamespace:
    """A pod's status, as the cluster shows it."""
    nothing = {"phase": "Failed", "reason": None, "message": None}
    more = {"conditions": None, "container_statuses": None}
    return SimpleNamespace(status=SimpleNamespace(**{**nothing, **more, **fields}))


def test_a_drained_node_is_worth_another_try() -> None:
    """A pod that its node ended on purpose says nothing about its work, whatever its exit code."""
    disrupted = SimpleNamespace(type="DisruptionTarget", reason="PreemptionByScheduler", message="")
    ended = SimpleNamespace(terminated=SimpleNamespace(reason="Error", exit_code=143))
    pod = state_of(conditions=[disrupted], container_statuses=[SimpleNamespace(state=ended)])
    reason = why_failed(pod, compute())
    assert reason is not None
    assert not reason.is_permanent
    assert "PreemptionByScheduler" in str(reason)


def test_a_pod_that_is_slow_to_start_has_the_newest_warning_as_its_reason() -> None:
    """It has a node, and something else keeps it: the last event says what."""
    scheduled = SimpleNamespace(type="PodScheduled", status="True", message=None)
    events = [SimpleNamespace(message="old"), SimpleNamespace(message="no volume\nto mount")]
    pod = state_of(phase="Pending", conditions=[scheduled])
    reason = why_not_started(pod, events, compute(), is_hopeless=False)
    assert str(reason) == "the pod did not start within 600 s: no volume to mount"
    assert not reason.is_permanent
