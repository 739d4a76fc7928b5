"""Tests of steps in pods: the provider's operator and trigger, an API on loopback, real jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.orchestration.backends.kubernetes.connection import check_cluster
from include.orchestration.runtime.run_reference import run_reference
from include.retraining.exceptions import ConfigError, StepFailed
from include.retraining.runs.manifest import read_manifest
from include.retraining.runs.results import read_result
from include.retraining.store.layout import profile_key
from include.retraining.store.object_store import Store
from tests.support.crash_points import PROCESSES, import_before_forks
from tests.support.deferred_tasks import deferred, event_of, finish, run
from tests.support.kubernetes_api import SECRET, KubernetesApi
from tests.support.kubernetes_pods import Script
from tests.support.pod_tasks import (
    ENDLESS,
    ROOT,
    failure_left,
    job,
    old_claim,
    on_kill,
    only_pod,
    stub,
)

import_before_forks(
    "tests.include.orchestration.conftest",
    __name__,
    "include.orchestration.backends.kubernetes.pod",
)

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


def test_a_line_of_the_second_of_the_last_look_reaches_the_log(
    planned: dict[str, Any], api: KubernetesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """The provider's watch leaves that second out, and goes on from the moment of its look."""
    stub(api, "print('four hundred rows')")
    event = event_of(deferred(job(), planned).trigger)
    (pod,) = api.all.values()
    ((written, _),) = pod.log
    event["last_log_time"] = str(written + timedelta(seconds=0.9))
    with pytest.raises(AirflowFailException):
        job().trigger_reentry(planned, event)
    assert "[job] logs: four hundred rows" in capsys.readouterr().out


def test_a_step_that_is_done_asks_for_no_pod(planned: dict[str, Any], api: KubernetesApi) -> None:
    """A task that is cleared after its step was done finds the evidence."""
    run(job, planned)
    job().execute(planned)
    assert len(api.submissions()) == 1


def test_without_a_champion_there_is_no_pod_to_grade_it(
    store: Store, planned: dict[str, Any], api: KubernetesApi
) -> None:
    """A profile that is there, and no champion: no container is started to find that out."""
    plan = read_manifest(store, run_reference(planned).paths)
    store.create(profile_key(plan.model, plan.version), b"{}")
    job("grade").execute(planned)
    assert api.submissions() == []


def test_without_a_way_to_the_cluster_the_connection_is_named_at_once(
    planned: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked of a cluster that is not there, and no try is made again."""
    monkeypatch.delenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    message = "there is no Airflow connection 'kubernetes_default' .*AIRFLOW_CONN_KUBERNETES_DEFA"
    with pytest.raises(AirflowFailException, match=message):
        job().execute(planned)
    compute = job().compute
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text("")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    check_cluster(compute)
    with pytest.raises(ConfigError, match="no Airflow connection 'other'"):
        check_cluster(compute.model_copy(update={"connection": "other"}))


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
        "import sys, include.orchestration.backends.kubernetes.operator\n"
        "heavy = {'kubernetes', 'kubernetes_asyncio', 'airflow.providers.cncf.kubernetes.hooks'}\n"
        "sys.exit(str(heavy & set(sys.modules) or '') or 0)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


# ---- never twice ----


def _execute(context: dict[str, Any], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    job().execute(context)


@pytest.mark.fault("K03")
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


@pytest.mark.fault("K03")
def test_a_lost_answer_leaves_one_pod(planned: dict[str, Any], api: KubernetesApi) -> None:
    """The repeated request meets the pod that the first one made."""
    api.scripts.append(Script("drop", times=1))
    run(job, planned)
    assert len(api.submissions()) == 1
    assert len(api.calls("POST")) == 2


@pytest.mark.fault("K02")
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


# ---- kills ----


@pytest.mark.fault("K01")
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


@pytest.mark.fault("K11")
def test_a_deferred_task_that_is_ended_deletes_its_pod(
    planned: dict[str, Any], api: KubernetesApi
) -> None:
    """The trigger's `on_kill`, which Airflow calls when a person ends the task (K11)."""
    stub(api, ENDLESS)
    on_kill(deferred(job(), planned).trigger)
    api.wait_for(lambda: not api.names())


@pytest.mark.fault("L01")
@pytest.mark.parametrize("together", [None, ("validate", "train")])
def test_what_a_trigger_holds_is_no_secret(
    planned: dict[str, Any], api: KubernetesApi, together: Any
) -> None:
    """Airflow stores it in clear: the connection's extra, with its token, is not in it."""
    stub(api, ENDLESS)
    wait = deferred(job(together=together), planned)
    assert SECRET not in json.dumps(wait.trigger.serialize(), default=str)
    on_kill(wait.trigger)  # which finds the cluster by the connection's name
    api.wait_for(lambda: not api.names())


def test_on_kill_before_the_pod_was_asked_for_does_nothing() -> None:
    """There is nothing to end yet."""
    job().on_kill()
