"""Tests of steps in pods: the provider's operator and trigger, an API on loopback, real jobs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from airflow.triggers.base import BaseTrigger

from include.local_airflow import samples
from include.orchestration.kubernetes_job import KubernetesJobOperator
from include.orchestration.plan_run import PlanRunOperator
from include.orchestration.run_reference import run_reference
from include.orchestration.store_connection import store_address
from include.retraining import registry
from include.retraining.attempts import JobClaim
from include.retraining.compute import KubernetesCompute
from include.retraining.config import load_model
from include.retraining.manifest import read_manifest
from include.retraining.results import StepFailed, StepFailure, read_result
from include.retraining.storage import Store
from tests.crash_points import PROCESSES
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


def on_kill(trigger: BaseTrigger) -> None:
    """Do what the triggerer does when a person ends a deferred task."""
    _, fields = trigger.serialize()
    asyncio.run(type(trigger)(**fields).on_kill())


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


def failure_left(store: Store, context: dict[str, Any], step: Any = "validate") -> StepFailure:
    """What the run's callback will read."""
    key = run_reference(context).paths.failure(step)
    return StepFailure.from_bytes(store.read(key), where=key)


def stub(api: KubernetesApi, program: str) -> None:
    """Let pods run a program in place of the image's entry point."""
    preface = (
        "import json, os, pathlib, sys, time\n"
        "RUN = pathlib.Path(sys.argv[sys.argv.index('--run') + 1].removeprefix('file://'))\n"
    )
    api.node.command = [sys.executable, "-u", "-c", preface + textwrap.dedent(program)]


ENDLESS = "print('working'); time.sleep(600)"


def only_pod(api: KubernetesApi) -> dict[str, Any]:
    """The one pod that there is."""
    (name,) = api.names()
    pod = api.pod(name)
    assert pod is not None
    return pod


def old_claim(store: Store, context: dict[str, Any], number: int = 1) -> None:
    """Let a claim be so old that a pod which is not there will not come any more."""
    key = run_reference(context).paths.job(number)
    claim = JobClaim.from_bytes(store.read(key), where=key)
    aged = claim.model_copy(update={"claimed_at": claim.claimed_at - timedelta(minutes=5)})
    store.write(key, aged.to_bytes())


# ---- the way of a step ----


def test_a_step_leaves_evidence(store: Store, planned: dict[str, Any], api: KubernetesApi) -> None:
    """The real validation runs in a pod, its result verifies, and the pod is tidied away."""
    run(job, planned)
    paths = run_reference(planned).paths
    assert read_result(store, paths, read_manifest(store, paths), "validate").rows == 442
    assert len(api.submissions()) == len(api.calls("POST")) == 1
    assert api.names() == []


def test_the_pods_lines_reach_the_log(
    planned: dict[str, Any], api: KubernetesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the job prints is in the task's log."""
    stub(api, "print('four hundred rows')")
    with pytest.raises(AirflowFailException):
        run(job, planned)
    assert "[job] logs: four hundred rows" in capsys.readouterr().out


def test_a_step_that_is_done_asks_for_no_pod(planned: dict[str, Any], api: KubernetesApi) -> None:
    """A task that is cleared after its step was done finds the evidence."""
    run(job, planned)
    job().execute(planned)
    assert len(api.submissions()) == 1


def test_a_card_is_no_evidence(planned: dict[str, Any], api: KubernetesApi) -> None:
    """The card's pod is believed when it succeeds, and the card is made again when cleared."""
    stub(api, "assert sys.argv[1] == 'card'")
    run(lambda: job("card"), planned)
    planned["dag_run"].clear_number = 1
    run(lambda: job("card"), planned)
    assert len(api.submissions()) == 2


def test_the_provider_is_imported_when_a_task_runs() -> None:
    """The operator's module, which DAG files import, brings no Kubernetes along."""
    program = (
        "import sys, include.orchestration.kubernetes_job\n"
        "heavy = {'kubernetes', 'kubernetes_asyncio', 'airflow.providers.cncf.kubernetes.hooks'}\n"
        "sys.exit(str(heavy & set(sys.modules) or '') or 0)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


# ---- the request ----


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


# ---- never twice ----


def _execute(context: dict[str, Any], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    job().execute(context)


def test_a_worker_killed_before_the_answer_came_leaves_one_pod(
    planned: dict[str, Any], api: KubernetesApi
) -> None:
    """SIGKILL between the request and whatever is stored of it: the next try adopts (K03)."""
    api.scripts.append(Script("hold", times=1))
    worker = PROCESSES.Process(target=_execute, args=(planned, dict(os.environ)))
    worker.start()
    (name,) = api.wait_for(api.submissions)
    worker.kill()
    worker.join()
    api.release()
    run(job, planned)
    assert api.submissions() == [name]
    assert len(api.calls("POST")) == 1


def test_a_lost_answer_leaves_one_pod(planned: dict[str, Any], api: KubernetesApi) -> None:
    """The repeated request meets the pod that the first one made."""
    api.scripts.append(Script("drop", times=1))
    run(job, planned)
    assert len(api.submissions()) == 1
    assert len(api.calls("POST")) == 2


@pytest.mark.parametrize("again", [{"try_number": 2}, {"clear_number": 1}])
def test_another_try_adopts_the_pod_that_runs(
    planned: dict[str, Any], api: KubernetesApi, again: dict[str, int]
) -> None:
    """A retry and a cleared task wait for the pod that is there (K02)."""
    first = deferred(job(), planned)
    for field, value in again.items():
        setattr(planned["ti" if field == "try_number" else "dag_run"], field, value)
    second = deferred(job(), planned)
    assert second.trigger.serialize()[1]["pod_name"] == first.trigger.serialize()[1]["pod_name"]
    finish(second, job, planned)
    assert len(api.submissions()) == 1


def test_a_pod_that_is_being_deleted_is_waited_for(
    store: Store, planned: dict[str, Any], api: KubernetesApi
) -> None:
    """The next pod starts when the one before has ended, and not while it ends."""
    stub(api, "import signal; signal.signal(15, signal.SIG_IGN); print('deaf'); time.sleep(600)")
    wait = deferred(job(), planned)
    (name,) = api.names()
    api.wait_for(lambda: api.log(name))
    process = api.process(name)
    old_claim(store, planned)
    on_kill(wait.trigger)
    assert only_pod(api)["metadata"]["deletionTimestamp"]
    deferred(job(), planned)
    assert process.poll() is not None
    assert len(api.submissions()) == 2


# ---- one job for several steps ----


def test_three_tasks_share_one_pod(
    store: Store, planned: dict[str, Any], api: KubernetesApi
) -> None:
    """Each ends with its own step's result, the first two while the pod goes on; one POST."""
    steps = ("validate", "train", "evaluate")
    run(lambda: job("validate", steps), planned)
    pod = only_pod(api)
    assert pod["status"]["phase"] == "Running"
    assert "already_checked" not in pod["metadata"]["labels"]
    run(lambda: job("train", steps[1:]), planned)
    run(lambda: job("evaluate", steps[2:]), planned)
    paths = run_reference(planned).paths
    for step in steps:
        read_result(store, paths, read_manifest(store, paths), step)
    assert len(api.calls("POST")) == 1
    api.wait_for(lambda: not api.names())


def test_a_pod_that_ended_unseen_is_tidied_away(
    planned: dict[str, Any], api: KubernetesApi
) -> None:
    """The last task finds its result there, and deletes the pod that nobody waited for."""
    deferred(job(), planned)
    api.wait_for(lambda: only_pod(api)["status"]["phase"] == "Succeeded")
    job().execute(planned)
    assert api.names() == []


def test_a_pod_that_is_just_ending_is_tidied_away(
    store: Store, planned: dict[str, Any], api: KubernetesApi
) -> None:
    """The last result is there and verifies: what the pod still does is nothing."""
    run(job, planned)
    result = run_reference(planned).paths.result("validate")
    content = store.read(result)
    store.delete(result)
    old_claim(store, planned)
    stub(api, f"(RUN / 'validate.json').write_bytes({content!r}); time.sleep(600)")
    deferred(job(), planned)
    api.wait_for(lambda: store.read_if_present(result))
    job().execute(planned)
    api.wait_for(lambda: not api.names())


def test_anothers_result_does_not_end_the_wait(
    store: Store, planned: dict[str, Any], api: KubernetesApi
) -> None:
    """What lies there and does not verify is replaced by the job, and the task waits for that."""
    paths = run_reference(planned).paths
    store.write(paths.result("validate"), b'{"step": "validate"}')
    run(lambda: job("validate", ("validate", "train")), planned)
    assert read_result(store, paths, read_manifest(store, paths), "validate").rows == 442


def test_a_step_that_is_done_counts_when_a_later_one_fails(
    store: Store, planned: dict[str, Any], api: KubernetesApi
) -> None:
    """The first task ends well, the second says why the pod failed, and asks for no other."""
    paths = run_reference(planned).paths
    run(job, planned)
    result = store.read(paths.result("validate"))
    store.delete(paths.result("validate"))
    old_claim(store, planned)
    stub(
        api,
        f"""
        (RUN / "validate.json").write_bytes({result!r})
        failure = {{"run_id": "x", "step": "train", "attempt": "job-002", "kind": "training",
                    "is_permanent": True, "message": "the model said no"}}
        (RUN / "train.failed.json").write_text(json.dumps(failure))
        sys.exit(1)
        """,
    )
    run(lambda: job("validate", ("validate", "train")), planned)
    with pytest.raises(AirflowFailException, match=r"^train: the model said no$"):
        run(lambda: job("train", ("train",)), planned)
    assert len(api.submissions()) == 2


# ---- failures ----


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


def test_a_pod_that_is_gone_after_its_work_is_no_failure(
    planned: dict[str, Any], api: KubernetesApi
) -> None:
    """The result decides, not the pod (K06)."""
    wait = deferred(job(), planned)
    event = event_of(wait.trigger)
    assert event["status"] == "success"
    api.vanish(api.names()[0])
    job().trigger_reentry(planned, event)


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


# ---- kills ----


def test_a_killed_task_deletes_its_pod_and_does_not_wait(
    store: Store, planned: dict[str, Any], api: KubernetesApi
) -> None:
    """SIGTERM while the pod is asked for: no pod is left, and the task fails (E3, K01)."""
    api.scripts.append(Script("hold"))
    stub(api, ENDLESS)
    task = job()
    with ThreadPoolExecutor(1) as other:

        def kill() -> None:
            api.wait_for(api.submissions)
            task.on_kill()
            api.release()

        killed = other.submit(kill)
        with pytest.raises(StepFailed, match="validate: the task was killed"):
            task.execute(planned)
        killed.result()
    api.wait_for(lambda: not api.names())
    assert failure_left(store, planned).kind == "job_killed"


def test_a_deferred_task_that_is_ended_deletes_its_pod(
    planned: dict[str, Any], api: KubernetesApi
) -> None:
    """The trigger's `on_kill`, which Airflow calls when a person ends the task (K11)."""
    stub(api, ENDLESS)
    on_kill(deferred(job(), planned).trigger)
    api.wait_for(lambda: not api.names())


def test_on_kill_before_the_pod_was_asked_for_does_nothing() -> None:
    """There is nothing to end yet."""
    job().on_kill()
