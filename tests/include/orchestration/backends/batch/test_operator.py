"""Tests of steps as jobs on AWS Batch: the provider's hooks, an API on loopback, real jobs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from include.orchestration.backends.batch.client import BatchClient
from include.orchestration.backends.batch.operator import BatchJobOperator
from include.orchestration.runtime.run_reference import run_reference
from include.retraining.config.batch_compute import BatchCompute
from include.retraining.exceptions import StepFailed
from include.retraining.runs.claims import JobClaims
from include.retraining.runs.manifest import RunManifest, read_manifest
from include.retraining.runs.results import StepFailure, read_failure, read_result
from include.retraining.store import marker as store_marker
from include.retraining.store.object_store import Store
from include.retraining.training.training_claim import TrainingClaims
from tests.support.aws_batch_api import (
    HOST_LOST,
    RUN,
    SECRET,
    SUCCEED,
    BatchApi,
    End,
    Fault,
    Plan,
    batch_api,
)
from tests.support.crash_points import PROCESSES, Points, import_before_forks
from tests.support.deferred_tasks import deferred, event_of, finish, resume, run

import_before_forks("tests.include.orchestration.conftest", __name__)

ROOT = Path(__file__).resolve().parents[5]
IMAGE = "example.org/retraining@sha256:" + "a" * 64
CANARY = "canary-of-a-secret"


@pytest.fixture
def store(folder_store: Store, store_is: Callable[..., None]) -> Store:
    """An initialised store that the Airflow connection names, with a secret."""
    store_is(folder_store.uri, extra={"options": {"SECRET_OPTION": CANARY}})
    return store_marker.initialise(folder_store.uri)


@pytest.fixture
def batch(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchApi]:
    """AWS Batch with a job definition that runs our image, and the connection that leads there."""
    prefix = [sys.executable, "-m", "include.retraining"]
    with batch_api(prefix=prefix, folder=ROOT, environment={"PYTHONUNBUFFERED": "1"}) as api:
        assert api.define("retraining", image=IMAGE) == "retraining:1"
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", api.connection)
        yield api


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask AWS once a question, and do not wait for the last lines of a log."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("batch_triggers.BatchJobTrigger.last_lines_seconds", 0.0)
    monkeypatch.setattr("include.orchestration.backends.batch.client.SETTLE_SECONDS", 2.0)


def compute(**fields: Any) -> BatchCompute:
    """What a step may use."""
    settings = {
        "image": IMAGE,
        "queue": "queue",
        "job_definition": "retraining:1",
        "cpu": 2,
        "memory": "4GiB",
        "poll_seconds": 0.2,
        **fields,
    }
    return BatchCompute(backend="batch", **settings)


def job(step: Any = "validate", together: Any = None, **fields: Any) -> BatchJobOperator:
    """The operator of one step."""
    return BatchJobOperator(
        task_id=f"{step}_it", step=step, together=together, compute=compute(**fields)
    )


def plan_of(store: Store, context: dict[str, Any]) -> RunManifest:
    """The run's manifest."""
    return read_manifest(store, run_reference(context).paths)


def failure(store: Store, context: dict[str, Any], step: Any = "validate") -> StepFailure | None:
    """What the first job left, or what was left for it, for the run's callback."""
    return read_failure(store, run_reference(context).paths, step, "job-001")


def test_a_step_leaves_evidence(store: Store, planned: dict[str, Any], batch: BatchApi) -> None:
    """The real validation runs as one job, its result verifies, and the UI is told where it is."""
    run(job, planned)
    paths = run_reference(planned).paths
    assert read_result(store, paths, plan_of(store, planned), "validate").rows == 442
    assert len(batch.submissions()) == 1
    links = planned["ti"].xcoms
    assert batch.jobs[0].id in links["batch_job_url"]
    assert "log-group/%2Faws%2Fbatch%2Fjob" in links["batch_log_url"]


def test_what_a_job_asks_for(store: Store, planned: dict[str, Any], batch: BatchApi) -> None:
    """The request is the claim's: name, revision, resources, host-loss retries, timeout, tags."""
    batch.plans.append(Plan("*", hold="RUNNABLE"))
    deferred(job(spot_retries=2, gpu=1, timeout_seconds=90.5, tags={"team": "risk"}), planned)
    (request,) = batch.submissions()
    manifest, paths = plan_of(store, planned), run_reference(planned).paths
    (claim,) = JobClaims(store, paths, manifest).claims()
    assert request["jobName"] == claim.name
    assert (request["jobQueue"], request["jobDefinition"]) == ("queue", "retraining:1")
    overrides = request["containerOverrides"]
    assert overrides["command"] == [
        *("validate", "--run", paths.uri(store.uri)),
        *("--attempt", "job-001", "--claim", "1"),
    ]
    resources = {one["type"]: one["value"] for one in overrides["resourceRequirements"]}
    assert resources == {"VCPU": "2", "MEMORY": "4096", "GPU": "1"}
    environment = {one["name"]: one["value"] for one in overrides["environment"]}
    assert set(environment.values()) == {"2"}
    assert "OMP_NUM_THREADS" in environment
    assert request["timeout"] == {"attemptDurationSeconds": 91}
    assert request["retryStrategy"] == {
        "attempts": 3,
        "evaluateOnExit": [
            {"onStatusReason": "Host EC2*", "action": "RETRY"},
            {"onReason": "*", "action": "EXIT"},
        ],
    }
    assert request["tags"] == {
        "team": "risk",
        "retraining-model": "diabetes_progression",
        "retraining-run": paths.run,
        "retraining-fingerprint": manifest.fingerprint,
        "retraining-step": "validate",
        "retraining-attempt": "job-001",
    }
    assert request["propagateTags"] is True


def test_fargate_takes_parts_of_a_cpu(planned: dict[str, Any], batch: BatchApi) -> None:
    """A quarter of a CPU is asked for as such, and a lost Fargate host is known by its words."""
    batch.plans.append(Plan("*", hold="RUNNABLE"))
    deferred(job(platform="fargate", cpu=0.25, memory="512MiB"), planned)
    (request,) = batch.submissions()
    resources = request["containerOverrides"]["resourceRequirements"]
    assert {one["type"]: one["value"] for one in resources} == {"VCPU": "0.25", "MEMORY": "512"}
    assert request["retryStrategy"]["evaluateOnExit"][0]["onStatusReason"].startswith("Your Spot")


@pytest.mark.fault("D13")
def test_no_secret_is_in_any_request(planned: dict[str, Any], batch: BatchApi) -> None:
    """Neither the store's options nor the connection's keys leave the worker (D13)."""
    submitted(batch, planned)
    said = json.dumps([call.body for call in batch.calls])
    assert "retrain-diabetes" in said
    assert CANARY not in said
    assert SECRET not in said


def _execute(context: dict[str, Any], environment: dict[str, str], points: Points) -> None:
    os.environ.update(environment)
    Store.create = points.around(Store.create)  # type: ignore[method-assign]
    BatchClient.submit = points.around(BatchClient.submit)  # type: ignore[method-assign]
    job().execute(context)


@pytest.mark.slow
@pytest.mark.fault("D02")
@pytest.mark.parametrize(
    ("point", "is_after"),
    [
        # The first point is the watch's mark that the run has jobs.
        pytest.param(2, False, id="before the claim"),
        pytest.param(3, False, id="between claim and submission"),
        pytest.param(3, True, id="after the submission"),
    ],
)
def test_a_worker_killed_at_a_point_leaves_one_job(
    planned: dict[str, Any], batch: BatchApi, point: int, is_after: bool
) -> None:
    """SIGKILL around the claim and around the submission: the next try starts or adopts one job."""
    batch.plans.append(Plan("*", hold="RUNNABLE"))
    points = Points(point, is_after=is_after)
    worker = PROCESSES.Process(target=_execute, args=(planned, dict(os.environ), points))
    worker.start()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL
    assert len(batch.submissions()) == is_after
    deferred(job(), planned)
    assert len(batch.submissions()) == 1


@pytest.mark.fault("D02")
def test_a_worker_that_died_after_the_submission_leaves_a_job_to_adopt(
    store: Store, planned: dict[str, Any], batch: BatchApi
) -> None:
    """Nothing but the claim is stored; the next try finds the job by its name (D02)."""
    batch.plans.append(hold := Plan("*", hold="RUNNABLE"))
    deferred(job(), planned)  # whoever was to wait for it is never heard of again
    wait = deferred(job(), planned)
    batch.release(hold)
    finish(wait, job, planned)
    assert len(batch.submissions()) == 1


def test_a_job_that_ended_well_meanwhile_is_adopted(
    planned: dict[str, Any], batch: BatchApi
) -> None:
    """The next try of the task finds the verified result and asks Batch nothing."""
    deferred(job(), planned)
    batch.jobs[0].wait("SUCCEEDED")
    batch.calls.clear()
    job().execute(planned)
    assert batch.calls == []


@pytest.mark.fault("D02")
def test_a_lost_answer_is_looked_up(planned: dict[str, Any], batch: BatchApi) -> None:
    """The job was accepted and the answer lost: it is found by name, though the list lags."""
    batch.plans.append(Plan("*", hidden_seconds=0.6))
    batch.faults.append(Fault("SubmitJob", "drop after"))
    run(job, planned)
    assert len(batch.submissions()) == 1
    assert batch.operations().count("SubmitJob") == 1


def test_an_error_of_the_service_is_looked_up(planned: dict[str, Any], batch: BatchApi) -> None:
    """A 500 says nothing of the job: when none is listed the claim is void, and nothing is sent."""
    batch.faults.append(Fault("SubmitJob", (500, "ServerException")))
    with pytest.raises(StepFailed, match="did not answer") as error:
        job().execute(planned)
    assert (error.value.kind, error.value.is_permanent) == ("submission_lost", False)
    assert batch.submissions() == []
    assert submitted(batch, planned).endswith("-2")  # the next try, under the next claim


def test_a_job_that_was_believed_lost_does_nothing(
    store: Store, planned: dict[str, Any], batch: BatchApi
) -> None:
    """A job that starts after its claim was given up ends without a step; one result (V5)."""
    batch.plans.append(hold := Plan("*-1", hold="RUNNABLE", hidden_seconds=3600))
    batch.faults.append(Fault("SubmitJob", "drop after"))
    with pytest.raises(StepFailed, match="did not answer"):
        job().execute(planned)
    assert submitted(batch, planned).endswith("-2")
    batch.release(hold)
    batch.jobs[0].wait("FAILED")
    assert "came too late" in " ".join(batch.jobs[0].lines)


def test_a_job_that_nobody_lists_is_found_by_its_own_word(
    store: Store, planned: dict[str, Any], batch: BatchApi
) -> None:
    """The list knows nothing, but the job has put down that it runs: it is adopted."""
    batch.plans.append(Plan("*", hidden_seconds=3600))
    batch.faults.append(Fault("SubmitJob", "drop after"))
    run(job, planned)
    assert len(batch.submissions()) == 1


def test_throttling_is_waited_out(planned: dict[str, Any], batch: BatchApi) -> None:
    """A submission that was refused for the moment is sent again, because it made no job."""
    batch.faults.append(Fault("SubmitJob", (429, "TooManyRequestsException")))
    submitted(batch, planned)
    assert batch.operations().count("SubmitJob") == 2


@pytest.mark.fault("D05")
def test_no_machine_in_time(store: Store, planned: dict[str, Any], batch: BatchApi) -> None:
    """A job that stays RUNNABLE is ended, and the reason names the queue (D05)."""
    batch.plans.append(Plan("*", hold="RUNNABLE"))
    with pytest.raises(StepFailed, match="no capacity: the job waited 0 min in queue queue") as no:
        run(lambda: job(runnable_timeout_seconds=1), planned)
    assert (no.value.kind, no.value.is_permanent) == ("no_capacity", False)
    batch.jobs[0].wait("FAILED")
    assert str(batch.jobs[0].status_reason).startswith("no capacity")
    left = failure(store, planned)
    assert left is not None
    assert left.kind == "no_capacity"


@pytest.mark.fault("D06")
def test_success_without_a_result(planned: dict[str, Any], batch: BatchApi) -> None:
    """Batch's SUCCEEDED is no evidence (D06); the next try starts another job."""
    batch.plans.append(Plan("*-1", attempts=(SUCCEED,)))
    with pytest.raises(AirflowFailException, match="'validate' left no result"):
        run(job, planned)
    assert submitted(batch, planned).endswith("-2")


@pytest.mark.fault("D06")
def test_a_result_of_another_run(store: Store, planned: dict[str, Any], batch: BatchApi) -> None:
    """A result that is not this run's is no evidence either (D06)."""
    batch.plans.append(Plan("*", attempts=(SUCCEED,)))
    store.write(run_reference(planned).paths.result("validate"), b'{"step": "validate"}')
    with pytest.raises(AirflowFailException, match=r"validate\.json"):
        run(job, planned)


ENDS = [
    (End(137, reason="OutOfMemoryError: Container killed"), "out_of_memory", "asked for 4096MiB"),
    (End(137), "out_of_memory", "asked for 4096MiB"),
    (End(1), "error", "ended with exit code 1"),
    (
        End(None, "Task failed to start", "CannotPullContainerError: manifest unknown"),
        "image",
        "cannot be pulled: CannotPullContainerError: manifest unknown",
    ),
]


@pytest.mark.fault("D07")
@pytest.mark.parametrize(("end", "kind", "message"), ENDS)
def test_what_a_retry_does_not_mend(
    store: Store,
    planned: dict[str, Any],
    batch: BatchApi,
    end: End,
    kind: str,
    message: str,
) -> None:
    """Out of memory, an exit code and a missing image fail at once, with the reason (D07)."""
    batch.plans.append(Plan("*", attempts=(end,)))
    with pytest.raises(AirflowFailException, match=message):
        run(lambda: job(spot_retries=3), planned)
    assert len(batch.jobs[0].attempts) == 1
    left = failure(store, planned)
    assert left is not None
    assert (left.kind, left.is_permanent) == (kind, True)


@pytest.mark.fault("D07")
def test_a_spot_reclaim_is_retried_by_batch(planned: dict[str, Any], batch: BatchApi) -> None:
    """The same job goes on to another host; its second attempt is the same claim's (D07)."""
    batch.plans.append(Plan("*", attempts=(HOST_LOST, HOST_LOST, RUN)))
    run(lambda: job(spot_retries=2), planned)
    assert len(batch.submissions()) == 1
    assert len(batch.jobs[0].attempts) == 3


@pytest.mark.fault("D07")
def test_a_spot_reclaim_while_the_step_runs(planned: dict[str, Any], batch: BatchApi) -> None:
    """A job that had started is let start again under its claim on the next host."""
    wait = deferred(job(spot_retries=1), planned)
    batch.wait(lambda: batch.jobs[0].pid is not None)
    batch.lose_host(batch.jobs[0])
    finish(wait, lambda: job(spot_retries=1), planned)
    assert len(batch.jobs[0].attempts) == 2


def test_too_many_spot_reclaims(planned: dict[str, Any], batch: BatchApi) -> None:
    """When the retries are used up the reason is the host, and Airflow's next try starts anew."""
    batch.plans.append(Plan("*", attempts=(HOST_LOST,)))
    with pytest.raises(StepFailed, match="host was lost in each of 2 attempts: Host EC2") as error:
        run(lambda: job(spot_retries=1), planned)
    assert not error.value.is_permanent
    assert submitted(batch, planned).endswith("-2")


def test_a_timeout_is_said(planned: dict[str, Any], batch: BatchApi) -> None:
    """Batch ends a job that takes too long; the reason names the limit."""
    batch.seconds = 0.001
    with pytest.raises(AirflowFailException, match=r"took longer than 60 s \(timeout_seconds\)"):
        run(lambda: job(timeout_seconds=60), planned)


def test_what_the_step_said_is_the_reason(
    store: Store, planned: dict[str, Any], batch: BatchApi
) -> None:
    """A step that fails by itself says why; the retry of the task says the next thing."""
    key = next(info.key for info in store.objects("landing") if info.key.endswith(".csv"))
    store.write(key, b"other")
    with pytest.raises(AirflowFailException, match=r"validate: .*changed"):
        run(job, planned)
    left = failure(store, planned)
    assert left is not None
    assert left.kind == "data_changed"


def test_a_job_that_cannot_open_the_store_says_why_in_its_last_line(
    store: Store, planned: dict[str, Any], batch: BatchApi
) -> None:
    """A job whose role may not read the bucket leaves nothing there; its log's end is quoted."""
    program = "print('validate failed (storage): s3://x: access denied'); raise SystemExit(75)"
    batch.prefix = [sys.executable, "-c", program]
    with pytest.raises(StepFailed, match="validate: s3://x: access denied") as error:
        run(job, planned)
    assert error.value.kind == "storage"


@pytest.mark.fault("D11")
@pytest.mark.parametrize(
    ("revision", "message"),
    [
        ("retraining:2", "runs the image other:1, the model names example.org/retraining@sha256"),
        ("retraining:3", "retraining:3 is INACTIVE"),
        ("retraining:9", "no job definition retraining:9 .connection aws_default, region eu-west"),
    ],
)
def test_the_revision_must_run_the_image(
    planned: dict[str, Any], batch: BatchApi, revision: str, message: str
) -> None:
    """Another image, a retired revision and one that never was are refused, unsubmitted (D11)."""
    batch.define("retraining", image="other:1")
    batch.define("retraining", image=IMAGE, status="INACTIVE")
    with pytest.raises(AirflowFailException, match=message):
        job(job_definition=revision).execute(planned)
    assert batch.submissions() == []
    submitted(batch, planned)  # mended and cleared


@pytest.mark.fault("D11")
def test_a_revision_registered_meanwhile_is_not_used(
    planned: dict[str, Any], batch: BatchApi
) -> None:
    """The job runs the pinned revision, and its claim records which (D11)."""
    batch.define("retraining", image="newer:1")
    submitted(batch, planned)
    assert batch.jobs[0].definition.revision == 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ((403, "AccessDeniedException"), "AWS Batch .connection aws_default.*AccessDenied"),
        ((400, "ClientException"), "ClientException.* SubmitJob"),
    ],
)
def test_a_refused_submission_is_permanent(
    planned: dict[str, Any], batch: BatchApi, fault: tuple[int, str], message: str
) -> None:
    """A role that may not submit, or a queue that does not exist: a person must mend it."""
    batch.faults.append(Fault("SubmitJob", fault))
    with pytest.raises(AirflowFailException, match=message):
        job().execute(planned)
    assert batch.operations().count("ListJobs") == 0


def test_an_outage_is_worth_another_try(planned: dict[str, Any], batch: BatchApi) -> None:
    """Batch that does not answer at all is no reason to give up the run."""
    batch.faults.append(Fault("DescribeJobDefinitions", "drop before", times=3))
    with pytest.raises(StepFailed, match="AWS Batch") as error:
        job().execute(planned)
    assert not error.value.is_permanent
    batch.faults.append(Fault("DescribeJobs", (500, "ServerException"), times=1))
    submitted(batch, planned)  # what is asked may be asked again


def submitted(batch: BatchApi, context: dict[str, Any]) -> str:
    """Start another try of the task and return the name of the job that it submits."""
    before = len(batch.submissions())
    batch.plans.insert(0, Plan("*", hold="RUNNABLE"))
    deferred(job(), context)
    (request,) = batch.submissions()[before:]
    return str(request["jobName"])


def test_a_kill_in_the_worker_ends_the_job(planned: dict[str, Any], batch: BatchApi) -> None:
    """A task that is killed while it looks at its job terminates it, and fails."""
    batch.plans.append(Plan("*", hold="RUNNABLE"))
    task = job()
    deferred(task, planned)
    task.on_kill()
    batch.jobs[0].wait("FAILED")
    assert batch.jobs[0].status_reason == "the task's process was asked to end"
    assert submitted(batch, planned).endswith("-2")


def test_a_kill_before_the_job_is_known(planned: dict[str, Any], batch: BatchApi) -> None:
    """A task that is killed while it submits ends the job as soon as it knows it."""
    batch.plans.append(Plan("*", hold="RUNNABLE"))
    task = job()
    task.on_kill()
    with pytest.raises(StepFailed, match="asked to end"):
        task.execute(planned)
    batch.jobs[0].wait("FAILED")


@pytest.mark.fault("D10")
def test_a_cleared_task_goes_on_after_the_job_was_ended_for_it(
    planned: dict[str, Any], batch: BatchApi
) -> None:
    """Cleared while deferred: the trigger ends the old job, and the new try starts the next."""
    batch.plans.append(hold := Plan("*-1", hold="RUNNABLE"))
    old = deferred(job(), planned)
    new = deferred(job(), planned)  # adopts what is about to be ended
    asyncio.run(old.trigger.on_kill())
    finish(new, job, planned)
    assert [one["jobName"][-2:] for one in batch.submissions()] == ["-1", "-2"]
    batch.release(hold)


def test_one_job_for_all_steps(
    store: Store, planned: dict[str, Any], batch: BatchApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three tasks wait for their own step's result of one job, and see its lines."""
    steps = ("validate", "train", "evaluate")
    for number, step in enumerate(steps):
        run(lambda step=step, number=number: job(step, steps[number:]), planned)  # type: ignore[misc]
        read_result(store, run_reference(planned).paths, plan_of(store, planned), step)  # type: ignore[call-overload]
    assert len(batch.submissions()) == 1
    assert batch.submissions()[0]["tags"]["retraining-step"] == "validate+train+evaluate"
    assert "fitting" in capsys.readouterr().out


@pytest.mark.slow
def test_a_job_that_finds_another_run_training_waits_instead_of_failing(
    store: Store, planned: dict[str, Any], batch: BatchApi
) -> None:
    """Its task submits nothing while another run's training beats, and trains when that is over."""
    run(job, planned)
    manifest = plan_of(store, planned)
    claims = TrainingClaims(store, manifest.model, manifest.version, beat_seconds=0.2)
    with claims.hold(run_id="backfill__1", plan="another", attempt="job-001"):
        wait = deferred(job("train"), planned)
        assert wait.method_name == "look_at_training"
        assert len(batch.submissions()) == 1
        # One that did not look is submitted, hears the beat and ends at once.
        unaware = job("train")
        unaware.wait_for_other_training = lambda *_: None  # type: ignore[method-assign]
        wait = deferred(unaware, planned)
        with pytest.raises(TaskDeferred) as again:
            resume(wait, lambda: job("train"), planned, event_of(wait.trigger))
        assert again.value.method_name == "look_at_training"
    run(lambda: job("train"), planned)
    assert len(batch.submissions()) == 3
    assert not read_result(store, run_reference(planned).paths, manifest, "train").adopted


def test_a_step_is_done_though_the_job_failed_later(
    store: Store, planned: dict[str, Any], batch: BatchApi
) -> None:
    """The task of the first step of a joint job does not answer for the second."""
    wait = deferred(job("validate", ("validate", "train")), planned)
    result = run_reference(planned).paths.result("validate")
    batch.wait(lambda: store.exists(result))
    batch.lose_host(batch.jobs[0])
    batch.jobs[0].wait("FAILED")
    finish(wait, lambda: job("validate", ("validate", "train")), planned)


def test_a_triggerer_that_may_not_look(planned: dict[str, Any], batch: BatchApi) -> None:
    """Its role is refused while the worker's is not: said, rather than deferred for ever."""
    batch.plans.append(hold := Plan("*", hold="RUNNABLE"))
    wait = deferred(job(), planned)
    batch.faults.append(Fault("DescribeJobs", (403, "AccessDeniedException")))
    with pytest.raises(AirflowFailException, match=r"the triggerer may not read .*AccessDenied"):
        finish(wait, job, planned)
    wait = deferred(job(), planned)  # mended and cleared: the job is still there
    batch.release(hold)
    finish(wait, job, planned)
    assert len(batch.submissions()) == 1


def test_no_triggerer(store: Store, planned: dict[str, Any], batch: BatchApi) -> None:
    """When Airflow gives the wait up the job is ended, and the reason says what was missing."""
    batch.plans.append(Plan("*", hold="RUNNABLE"))
    wait = deferred(job(spot_retries=1), planned)
    assert wait.timeout.total_seconds() > compute(spot_retries=1).max_seconds  # type: ignore[union-attr]
    with pytest.raises(StepFailed, match="no triggerer watched the job"):
        job().resume_execution("__fail__", {"error": "Trigger timeout"}, planned)
    batch.jobs[0].wait("FAILED")


def test_the_ui_links_are_known_without_boto() -> None:
    """The links are names and keys of XComs: a DAG is parsed and shown without the provider."""
    names = {link.name: link.xcom_key for link in BatchJobOperator.operator_extra_links}
    assert names == {"Job in AWS Batch": "batch_job_url", "Log on CloudWatch": "batch_log_url"}
