"""Tests of steps as invocations of AWS Lambda: the provider's hook, a loopback API, real jobs."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.orchestration.backends.aws_lambda.client import LambdaClient
from include.orchestration.backends.aws_lambda.operator import LambdaJobOperator
from include.orchestration.runtime.run_reference import run_reference
from include.retraining.config.lambda_compute import LambdaCompute
from include.retraining.exceptions import StepFailed
from include.retraining.runs.claims import JobClaims
from include.retraining.runs.manifest import RunManifest, read_manifest
from include.retraining.runs.results import StepFailure, read_failure, read_result
from include.retraining.store import marker as store_marker
from include.retraining.store.object_store import Store
from tests.support.aws_lambda_api import SECRET, Fault, LambdaApi, Plan, lambda_api
from tests.support.crash_points import PROCESSES, Points, import_before_forks
from tests.support.deferred_tasks import deferred, finish, resume, run

import_before_forks("tests.include.orchestration.conftest", __name__)

ROOT = Path(__file__).resolve().parents[5]
IMAGE = "example.org/retraining@sha256:" + "a" * 64
CANARY = "canary-of-a-secret"


@pytest.fixture
def store(folder_store: Store, store_is: Callable[..., None]) -> Store:
    """An initialised store that the Airflow connection names, with a secret."""
    store_is(folder_store.uri, extra={"options": {"SECRET_OPTION": CANARY}})
    return store_marker.initialise(folder_store.uri)


@pytest.fixture(scope="module")
def lambda_on_loopback() -> Iterator[LambdaApi]:
    """AWS Lambda, whose execution environments stay warm from test to test."""
    given = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with lambda_api(folder=ROOT, environment=given) as api:
        yield api


@pytest.fixture
def aws(lambda_on_loopback: LambdaApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaApi]:
    """AWS Lambda with a function that runs our image, and the connection that leads there."""
    assert lambda_on_loopback.define("training", image=IMAGE) == "training:1"
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", lambda_on_loopback.connection)
    yield lambda_on_loopback
    lambda_on_loopback.reset()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait only a moment for a job whose invocation was not answered."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("include.orchestration.backends.aws_lambda.operator.LOST_SECONDS", 2.0)


def compute(**fields: Any) -> LambdaCompute:
    """What a step may use."""
    settings = {
        "image": IMAGE,
        "function": "training:1",
        "memory": "2GiB",
        "poll_seconds": 0.2,
        **fields,
    }
    return LambdaCompute(backend="lambda", **settings)


def job(step: Any = "validate", together: Any = None, **fields: Any) -> LambdaJobOperator:
    """The operator of one step."""
    return LambdaJobOperator(
        task_id=f"{step}_it", step=step, together=together, compute=compute(**fields)
    )


def plan_of(store: Store, context: dict[str, Any]) -> RunManifest:
    """The run's manifest."""
    return read_manifest(store, run_reference(context).paths)


def failure(store: Store, context: dict[str, Any], step: Any = "validate") -> StepFailure | None:
    """What the first job left, or what was left for it, for the run's callback."""
    return read_failure(store, run_reference(context).paths, step, "job-001")


def test_a_step_leaves_evidence(store: Store, planned: dict[str, Any], aws: LambdaApi) -> None:
    """The real validation runs in one invocation, its result verifies, and its log is linked."""
    run(job, planned)
    paths = run_reference(planned).paths
    assert read_result(store, paths, plan_of(store, planned), "validate").rows == 442
    (accepted,) = aws.jobs
    link = planned["ti"].xcoms["lambda_log_url"]
    assert "log-group/$252Faws$252Flambda$252Ftraining/log-events" in link
    assert accepted.request_id in link


def test_what_a_function_is_invoked_with(
    store: Store, planned: dict[str, Any], aws: LambdaApi
) -> None:
    """The payload is the claim's: name, steps, run, attempt, time and threads."""
    aws.plans.append(Plan("*", is_held=True))
    deferred(job(memory="2GiB", timeout_seconds=90.5), planned)
    (payload,) = aws.submissions()
    paths = run_reference(planned).paths
    (claim,) = JobClaims(store, paths, plan_of(store, planned)).claims()
    environment = payload.pop("environment")
    assert "OMP_NUM_THREADS" in environment
    assert set(environment.values()) == {"1"}
    assert payload == {
        "name": claim.name,
        "steps": ["validate"],
        "run": paths.uri(store.uri),
        "attempt": "job-001",
        "claim": 1,
        "timeout_seconds": 90.5,
    }
    assert claim.compute["cpu"] == 1.16


@pytest.mark.fault("D13")
def test_no_secret_is_in_any_request(planned: dict[str, Any], aws: LambdaApi) -> None:
    """Neither the store's options nor the connection's keys leave the worker (D13)."""
    aws.plans.append(Plan("*", is_held=True))
    deferred(job(), planned)
    said = json.dumps([call.body for call in aws.calls])
    assert "retrain-diabetes" in said
    assert CANARY not in said
    assert SECRET not in said


def _execute(context: dict[str, Any], environment: dict[str, str], points: Points) -> None:
    os.environ.update(environment)
    Store.create = points.around(Store.create)  # type: ignore[method-assign]
    LambdaClient.invoke = points.around(LambdaClient.invoke)  # type: ignore[method-assign]
    job().execute(context)


@pytest.mark.slow
@pytest.mark.fault("D02")
@pytest.mark.parametrize(
    ("point", "is_after"),
    [
        # The first point is the watch's mark that the run has jobs.
        pytest.param(2, False, id="before the claim"),
        pytest.param(3, False, id="between claim and invocation"),
        pytest.param(3, True, id="after the invocation"),
    ],
)
def test_a_worker_killed_at_a_point_leaves_one_job(
    planned: dict[str, Any], aws: LambdaApi, point: int, is_after: bool
) -> None:
    """SIGKILL around the claim and the invocation: the next try invokes or adopts, one works."""
    points = Points(point, is_after=is_after)
    worker = PROCESSES.Process(target=_execute, args=(planned, dict(os.environ), points))
    worker.start()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL
    assert len(aws.submissions()) == is_after
    run(job, planned)
    assert len(aws.submissions()) == 1
    assert [one.has_worked for one in aws.jobs[0].executions] == [True]


@pytest.mark.slow
@pytest.mark.fault("D02")
def test_a_worker_that_died_after_the_invocation_leaves_a_job_to_adopt(
    store: Store, planned: dict[str, Any], aws: LambdaApi
) -> None:
    """Nothing but the claim is stored; the job puts down its start, and is adopted (D02)."""
    deferred(job(), planned)  # whoever was to wait for it is never heard of again
    run(job, planned)
    assert len(aws.submissions()) == 1


@pytest.mark.slow
@pytest.mark.fault("D02")
def test_an_invocation_that_nobody_knows_of_may_not_start_later(
    store: Store,
    planned: dict[str, Any],
    aws: LambdaApi,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is still in Lambda's queue when the next try comes: its claim is void, one result (V5)."""
    monkeypatch.setitem(JobClaims.__init__.__kwdefaults__, "settle_seconds", 0.5)
    aws.plans.append(held := Plan("*-1", is_held=True))
    deferred(job(), planned)
    run(job, planned)
    aws.release(held)
    for accepted in aws.jobs:
        accepted.wait()
    assert [one.name[-2:] for one in aws.jobs] == ["-1", "-2"]
    assert [one.executions[0].has_worked for one in aws.jobs] == [False, True]
    assert "came too late" in " ".join(aws.jobs[0].lines)


@pytest.mark.fault("D02")
def test_a_lost_answer_is_made_good_by_the_jobs_own_start(
    planned: dict[str, Any], aws: LambdaApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The invocation was accepted and the answer lost: it is not sent again."""
    monkeypatch.setattr("include.orchestration.backends.aws_lambda.operator.LOST_SECONDS", 60.0)
    aws.faults.append(Fault("Invoke", "drop after"))
    run(job, planned)
    assert aws.operations().count("Invoke") == 1


@pytest.mark.fault("D02")
def test_an_invocation_that_was_not_answered_and_never_came(
    planned: dict[str, Any], aws: LambdaApi
) -> None:
    """When no job starts the claim is void, and the next try sends the next one."""
    aws.faults.append(Fault("Invoke", (500, "ServiceException")))
    with pytest.raises(StepFailed, match="did not answer") as error:
        job().execute(planned)
    assert (error.value.kind, error.value.is_permanent) == ("submission_lost", False)
    assert aws.submissions() == []
    assert invoked(aws, planned).endswith("-2")


def invoked(aws: LambdaApi, context: dict[str, Any]) -> str:
    """Start another try of the task and return the name of the job that it invokes."""
    before = len(aws.submissions())
    aws.plans.insert(0, Plan("*", is_held=True))
    deferred(job(), context)
    (payload,) = aws.submissions()[before:]
    return str(payload["name"])


def test_throttling_is_waited_out(planned: dict[str, Any], aws: LambdaApi) -> None:
    """An invocation that was refused for the moment is sent again, because it made no job."""
    aws.faults.append(Fault("Invoke", (429, "TooManyRequestsException")))
    invoked(aws, planned)
    assert aws.operations().count("Invoke") == 2


@pytest.mark.fault("D01")
def test_an_event_that_is_delivered_twice_is_worked_on_once(
    store: Store, planned: dict[str, Any], aws: LambdaApi
) -> None:
    """Lambda delivers at least once: the second delivery finds the claim taken, does nothing."""
    aws.plans.append(Plan("*", deliveries=2))
    run(job, planned)
    aws.jobs[0].wait()
    assert sorted(one.has_worked for one in aws.jobs[0].executions) == [False, True]
    assert "runs under this claim already; nothing done" in " ".join(aws.jobs[0].lines)


@pytest.mark.fault("D05")
def test_a_job_that_does_not_start_in_time(
    store: Store, planned: dict[str, Any], aws: LambdaApi
) -> None:
    """It may not start any more, and the reason names what to look at (D05)."""
    aws.plans.append(held := Plan("*", is_held=True))
    with pytest.raises(StepFailed, match="training:1 did not start the job within 1 s") as late:
        run(lambda: job(startup_timeout_seconds=1), planned)
    assert (late.value.kind, late.value.is_permanent) == ("not_started", False)
    aws.release(held)
    aws.jobs[0].wait()
    assert not aws.jobs[0].executions[0].has_worked
    left = failure(store, planned)
    assert left is not None
    assert left.kind == "not_started"


@pytest.mark.fault("D06")
def test_an_end_without_a_result(store: Store, planned: dict[str, Any], aws: LambdaApi) -> None:
    """A job that says that it did well is no evidence (D06); the next try invokes the next one."""
    wait = deferred(job(), planned)
    aws.jobs[0].wait()
    store.delete(run_reference(planned).paths.result("validate"))
    with pytest.raises(AirflowFailException, match="'validate' left no result"):
        finish(wait, job, planned)
    assert invoked(aws, planned).endswith("-2")


@pytest.mark.slow
@pytest.mark.fault("D06")
def test_a_result_of_another_run(store: Store, planned: dict[str, Any], aws: LambdaApi) -> None:
    """A result that is not this run's is no evidence either: the job replaces it (D06)."""
    key = run_reference(planned).paths.result("validate")
    store.write(key, b'{"step": "validate"}')
    run(job, planned)
    assert (
        read_result(store, run_reference(planned).paths, plan_of(store, planned), "validate").rows
        == 442
    )


@pytest.mark.slow
@pytest.mark.fault("D07")
def test_an_environment_that_is_gone_says_nothing(
    store: Store, planned: dict[str, Any], aws: LambdaApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of memory, or a lost host: once it must be over, the reason names what it may be."""
    monkeypatch.setattr("lambda_triggers.GRACE_SECONDS", 0.0)
    aws.define("training", image=IMAGE, timeout_seconds=15)
    wait = deferred(job(function="training:2", timeout_seconds=15), planned)
    aws.wait(lambda: aws.jobs[0].pid is not None)
    aws.lose_host(aws.jobs[0])
    with pytest.raises(StepFailed, match=r"left neither a result .*out of memory .it has 2048MiB"):
        finish(wait, job, planned)
    left = failure(store, planned)
    assert left is not None
    assert (left.kind, left.is_permanent) == ("job_killed", False)
    assert "log-events/2026" in planned["ti"].xcoms["lambda_log_url"]
    assert invoked(aws, planned).endswith("-2")


def test_a_timeout_is_said(planned: dict[str, Any], aws: LambdaApi) -> None:
    """The handler ends a job that takes too long, and puts that down."""
    with pytest.raises(AirflowFailException, match=r"took longer than 1 s \(timeout_seconds\)"):
        run(lambda: job(timeout_seconds=1), planned)
    assert aws.jobs[0].executions[0].answer == {
        "started": True,
        "how": "timed_out",
        "exit_code": -9,
    }


def test_a_killed_process_is_out_of_memory(planned: dict[str, Any], aws: LambdaApi) -> None:
    """The system kills what takes all memory; the handler outlives it, and puts that down."""
    wait = deferred(job(), planned)
    aws.wait(lambda: aws.jobs[0].pid is not None)
    os.kill(aws.jobs[0].pid or 0, signal.SIGKILL)
    with pytest.raises(AirflowFailException, match=r"out of memory: .*the function has 2048MiB"):
        finish(wait, job, planned)


def test_what_the_step_said_is_the_reason(
    store: Store, planned: dict[str, Any], aws: LambdaApi
) -> None:
    """A step that fails by itself says why; Lambda does not run it again."""
    key = next(info.key for info in store.objects("landing") if info.key.endswith(".csv"))
    store.write(key, b"other")
    with pytest.raises(AirflowFailException, match=r"validate: .*changed"):
        run(job, planned)
    left = failure(store, planned)
    assert left is not None
    assert left.kind == "data_changed"
    assert len(aws.jobs[0].executions) == 1


@pytest.mark.fault("D11")
@pytest.mark.parametrize(
    ("published", "message"),
    [
        ({"image": "other:1"}, "runs other:1, the model names example.org/retraining@sha256:aaa"),
        ({"memory_mib": 1024}, "has 1024MiB of memory, the model says 2048MiB"),
        ({"timeout_seconds": 60}, "timeout is 60 s, the model's timeout_seconds 900"),
        ({"retries": 2}, "MaximumRetryAttempts is 2: Lambda would start a job again"),
        ({"retries": None}, "MaximumRetryAttempts is the default, 2: .*--qualifier 2 --maximum"),
        ({"state": "Failed"}, "its state is Failed"),
    ],
)
def test_the_version_must_be_what_the_model_says(
    planned: dict[str, Any], aws: LambdaApi, published: dict[str, Any], message: str
) -> None:
    """Another image, memory, timeout or retries are refused, and nothing is invoked (D11)."""
    aws.define("training", **{"image": IMAGE, **published})
    with pytest.raises(AirflowFailException, match=message):
        job(function="training:2").execute(planned)
    assert aws.submissions() == []
    invoked(aws, planned)  # mended and cleared


@pytest.mark.fault("D11")
def test_a_version_that_is_not_there(planned: dict[str, Any], aws: LambdaApi) -> None:
    """It is refused with the connection and the region that were asked (D11)."""
    with pytest.raises(AirflowFailException, match=r"AWS Lambda .connection aws_default, region "):
        job(function="training:9").execute(planned)


@pytest.mark.fault("D11")
def test_a_version_published_meanwhile_is_not_used(planned: dict[str, Any], aws: LambdaApi) -> None:
    """The invocation is of the pinned version (D11)."""
    aws.define("training", image="newer:1")
    invoked(aws, planned)
    assert aws.jobs[0].function.version == 1


@pytest.mark.parametrize("operation", ["GetFunction", "GetFunctionEventInvokeConfig", "Invoke"])
def test_a_refusal_is_permanent(planned: dict[str, Any], aws: LambdaApi, operation: str) -> None:
    """A role that may not do that: somebody must mend it."""
    aws.faults.append(Fault(operation, (403, "AccessDeniedException")))
    with pytest.raises(AirflowFailException, match=r"AWS Lambda .connection aws.*AccessDenied"):
        job().execute(planned)


def test_an_outage_is_worth_another_try(planned: dict[str, Any], aws: LambdaApi) -> None:
    """Lambda that does not answer at all is no reason to give up the run."""
    aws.faults.append(Fault("GetFunction", "drop before", times=3))
    with pytest.raises(StepFailed, match="AWS Lambda") as error:
        job().execute(planned)
    assert not error.value.is_permanent
    invoked(aws, planned)


def test_a_kill_in_the_worker_ends_the_job(planned: dict[str, Any], aws: LambdaApi) -> None:
    """The task asks its job to end, and the next try starts the next one once that has ended."""
    task = job()
    deferred(task, planned)
    aws.wait(lambda: aws.jobs[0].pid is not None)
    task.on_kill()
    run(job, planned)
    assert [one.name[-2:] for one in aws.jobs] == ["-1", "-2"]
    first, second = (one.executions[0] for one in aws.jobs)
    assert first.answer == {"started": True, "how": "stopped", "exit_code": -9}
    assert first.ended is not None
    assert first.ended < second.started


def test_a_kill_before_the_job_is_known(planned: dict[str, Any], aws: LambdaApi) -> None:
    """A task that is killed while it invokes leaves a job that may not start."""
    aws.plans.append(held := Plan("*", is_held=True))
    task = job()
    task.on_kill()
    with pytest.raises(StepFailed, match="asked to end"):
        task.execute(planned)
    aws.release(held)
    aws.jobs[0].wait()
    assert not aws.jobs[0].executions[0].has_worked


@pytest.mark.slow
def test_one_job_for_all_steps(store: Store, planned: dict[str, Any], aws: LambdaApi) -> None:
    """Three tasks wait for their own step's result of one invocation."""
    steps = ("validate", "train", "evaluate")
    for number, step in enumerate(steps):
        run(lambda step=step, number=number: job(step, steps[number:]), planned)  # type: ignore[misc]
        read_result(store, run_reference(planned).paths, plan_of(store, planned), step)  # type: ignore[call-overload]
    assert len(aws.submissions()) == 1


def test_a_triggerer_that_may_not_read_the_store(planned: dict[str, Any], aws: LambdaApi) -> None:
    """Its role is refused while the worker's is not: said, rather than deferred for ever."""
    aws.plans.append(Plan("*", is_held=True))
    wait = deferred(job(), planned)
    with pytest.raises(AirflowFailException, match=r"triggerer may not read the store .*no keys"):
        resume(wait, job, planned, {"status": "refused", "reason": "no keys"})


def test_no_triggerer(store: Store, planned: dict[str, Any], aws: LambdaApi) -> None:
    """When Airflow gives up the wait the job may not start, and the reason says why."""
    aws.plans.append(held := Plan("*", is_held=True))
    wait = deferred(job(), planned)
    assert wait.timeout.total_seconds() > compute().max_seconds  # type: ignore[union-attr]
    with pytest.raises(StepFailed, match="no triggerer watched the job"):
        job().resume_execution("__fail__", {"error": "Trigger timeout"}, planned)
    aws.release(held)
    aws.jobs[0].wait()
    assert not aws.jobs[0].executions[0].has_worked


@pytest.mark.slow
def test_a_job_gets_no_more_of_the_functions_environment_than_it_needs(
    planned: dict[str, Any], aws: LambdaApi
) -> None:
    """What the function's owner put there stays with the handler."""
    wait = deferred(job(), planned)
    aws.wait(lambda: aws.jobs[0].pid is not None)
    environment = psutil.Process(aws.jobs[0].pid).environ()
    assert "A_SECRET_OF_THE_FUNCTION" not in environment
    assert "AWS_LAMBDA_RUNTIME_API" not in environment
    assert environment["TMPDIR"] == environment["HOME"] != os.environ["HOME"]
    finish(wait, job, planned)
    aws.jobs[0].wait()
    assert not Path(environment["TMPDIR"]).exists()


def test_the_ui_link_is_known_without_boto() -> None:
    """It is a name and the key of an XCom: a DAG is parsed and shown without the provider."""
    names = {link.name: link.xcom_key for link in LambdaJobOperator.operator_extra_links}
    assert names == {"Log on CloudWatch": "lambda_log_url"}
