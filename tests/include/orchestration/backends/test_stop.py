"""A run that has ended leaves no job behind that somebody pays for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from include.orchestration.backends.aws_lambda.operator import LambdaJobOperator
from include.orchestration.backends.batch.operator import BatchJobOperator
from include.orchestration.backends.kubernetes.operator import KubernetesJobOperator
from include.orchestration.backends.remote_step import RUN_ENDED
from include.retraining.config.batch_compute import BatchCompute
from include.retraining.config.lambda_compute import LambdaCompute
from include.retraining.store.object_store import Store
from tests.support import run_callbacks
from tests.support.aws_batch_api import BatchApi, Fault, Plan, batch_api
from tests.support.aws_lambda_api import LambdaApi, lambda_api
from tests.support.aws_lambda_api import Plan as LambdaPlan
from tests.support.kubernetes_api import KubernetesApi
from tests.support.pod_tasks import IMAGE, ROOT, compute


@pytest.fixture
def batch(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchApi]:
    """AWS Batch, whose jobs wait for a machine."""
    command = [sys.executable, "-m", "include.retraining"]
    with batch_api(prefix=command, folder=ROOT, environment={}) as running:
        running.define("retraining", image=IMAGE)
        running.plans.append(Plan("*", hold="RUNNABLE"))
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", running.connection)
        yield running


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaApi]:
    """AWS Lambda with a function that runs our image."""
    given = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with lambda_api(folder=ROOT, environment=given) as running:
        running.define("training", image=IMAGE)
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", running.connection)
        yield running


def invoke_function(context: dict[str, Any]) -> None:
    """Invoke a function for a step, and wait for it no longer."""
    on_lambda = LambdaCompute(backend="lambda", image=IMAGE, function="training:1", memory="2GiB")
    with pytest.raises(TaskDeferred):
        LambdaJobOperator(task_id="validate_data", step="validate", compute=on_lambda).execute(
            context
        )


def submit_job(context: dict[str, Any]) -> None:
    """Submit a job to Batch, and wait for it no longer."""
    on_batch = BatchCompute(
        backend="batch",
        image=IMAGE,
        queue="queue",
        job_definition="retraining:1",
        cpu=1,
        memory="1GiB",
    )
    with pytest.raises(TaskDeferred):
        BatchJobOperator(task_id="train_model", step="train", compute=on_batch).execute(context)


def make_pod(context: dict[str, Any]) -> None:
    """Make a pod, and wait for it no longer."""
    with pytest.raises(TaskDeferred):
        KubernetesJobOperator(task_id="train_model", step="train", compute=compute()).execute(
            context
        )


def end_run(context: dict[str, Any], reason: str = "task_failure") -> None:
    """Call the DAG's callbacks as Airflow does when a run has ended."""
    run_callbacks.end_run({**context, "reason": reason})


@pytest.mark.fault("D04")
@pytest.mark.parametrize("reason", ["task_failure", "timed_out"])
def test_a_run_that_ended_ends_its_job(
    planned: dict[str, Any], batch: BatchApi, reason: str
) -> None:
    """Marked failed before its trigger ran, or out of time: the job is terminated (D04)."""
    submit_job(planned)
    end_run(planned, reason)
    (job,) = batch.jobs
    job.wait("FAILED")
    assert job.terminated == RUN_ENDED


@pytest.mark.fault("K11")
def test_a_run_that_ended_deletes_its_pod(planned: dict[str, Any], api: KubernetesApi) -> None:
    """The same for a pod (K11)."""
    make_pod(planned)
    (name,) = api.submissions()
    end_run(planned)
    assert [request.path.rsplit("/", 1)[1] for request in api.calls("DELETE")] == [name]
    api.wait_for(lambda: api.pod(name) is None)


@pytest.mark.fault("D04", "K11")
def test_a_run_that_ended_ends_what_its_function_does(
    planned: dict[str, Any], functions: LambdaApi
) -> None:
    """Lambda ends nothing: the function ends the steps because the store asks it to (D04, K11)."""
    invoke_function(planned)
    (job,) = functions.jobs
    functions.wait(lambda: job.pid is not None)
    end_run(planned)
    job.wait()
    assert job.executions[0].answer == {"started": True, "how": "stopped", "exit_code": -9}
    assert f"this job is to end: {RUN_ENDED}" in job.lines


def test_an_event_that_is_delivered_after_the_end_of_its_run_does_nothing(
    planned: dict[str, Any], functions: LambdaApi
) -> None:
    """It was still in Lambda's queue: its claim is void."""
    functions.plans.append(held := LambdaPlan("*", is_held=True))
    invoke_function(planned)
    end_run(planned)
    functions.release(held)
    functions.jobs[0].wait()
    assert any("its claim is void" in line for line in functions.jobs[0].lines)


def test_a_job_that_is_listed_late_may_not_start(
    planned: dict[str, Any], batch: BatchApi, store: Store
) -> None:
    """The run ended before Batch listed the job: its claim is void."""
    late = Plan("*", hold="RUNNABLE", hidden_seconds=600)
    batch.plans.insert(0, late)
    submit_job(planned)
    end_run(planned)
    batch.release(late)
    assert batch.operations().count("TerminateJob") == 0
    batch.jobs[0].wait("FAILED")
    assert any("its claim is void" in line for line in batch.jobs[0].lines)


def test_a_late_callback_lets_the_jobs_of_a_later_clear_be(
    planned: dict[str, Any], batch: BatchApi
) -> None:
    """The run was cleared before the callback of its failure came."""
    planned["dag_run"].clear_number = 1
    submit_job(planned)
    planned["dag_run"].clear_number = 0
    end_run(planned)
    assert batch.operations().count("TerminateJob") == 0


def test_what_has_ended_is_left_alone(
    planned: dict[str, Any], batch: BatchApi, store: Store
) -> None:
    """A job that failed by itself is not terminated after the fact."""
    submit_job(planned)
    batch.jobs[0].terminate("by hand")
    batch.jobs[0].wait("FAILED")
    end_run(planned)
    assert batch.operations().count("TerminateJob") == 0
    assert batch.jobs[0].terminated == "by hand"


def test_a_tasks_callback_ends_nothing(planned: dict[str, Any], batch: BatchApi) -> None:
    """A task that failed may be the card's, while others of the run go on."""
    submit_job(planned)
    run_callbacks.end_run({**planned, "exception": ValueError("planted")})
    assert batch.operations().count("TerminateJob") == 0


def test_a_platform_that_does_not_answer_keeps_no_run_from_being_closed(
    planned: dict[str, Any],
    batch: BatchApi,
    store: Store,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged; the record is written all the same."""
    submit_job(planned)
    batch.faults.append(Fault("ListJobs", (403, "AccessDeniedException"), times=None))
    end_run(planned)
    assert "could not end retrain-" in caplog.text
    folders = store.children("models/diabetes_progression/decisions")[1]
    assert len(list(folders)) == 1
