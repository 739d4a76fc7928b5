"""Tests of the trigger that waits for a job on AWS Batch: real hooks and real processes."""

from __future__ import annotations

import asyncio
import json
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import batch_triggers
import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetTaskStates, TaskStatesResult
from batch_triggers import BatchJobTrigger

from include.retraining.store.object_store import Store
from tests.support.aws_batch_api import HOST_LOST, RUN, BatchApi, Fault, Job, Plan, batch_api

WAITS_FOR_A_FILE = """
    import pathlib, time
    print("started")
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
    print("went on")
"""


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchApi]:
    """A stand-in whose jobs are Python programs, and the connection that leads there."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with batch_api(prefix=[sys.executable, "-uc"], folder=tmp_path) as api:
        api.define("python", image="python:3.12")
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", api.connection)
        yield api


def submit(batch: BatchApi, program: str = "") -> Job:
    """Submit a job that may be retried when its host is lost."""
    batch.answer(
        "SubmitJob",
        {
            "jobName": "job",
            "jobQueue": "queue",
            "jobDefinition": "python:1",
            "containerOverrides": {"command": [textwrap.dedent(program)]},
            "retryStrategy": {
                "attempts": 2,
                "evaluateOnExit": [
                    {"onStatusReason": "Host EC2*", "action": "RETRY"},
                    {"onReason": "*", "action": "EXIT"},
                ],
            },
        },
    )
    return batch.jobs[-1]


def trigger(job: Job, *, last_lines_seconds: float = 0.0, **fields: Any) -> BatchJobTrigger:
    """Return the trigger of a job."""
    settings = {"runnable_seconds": 60.0, "result": None, **fields}
    made = BatchJobTrigger(job_id=job.id, connection="aws_default", poll_seconds=0.05, **settings)
    made.last_lines_seconds = last_lines_seconds
    return made


async def event_of(waiting: BatchJobTrigger) -> Any:
    """Return the payload of the trigger's event, of which there is one."""
    (event,) = [event async for event in waiting.run()]
    return event.payload


async def event_after(waiting: BatchJobTrigger, job: Job, line: str, change: Any) -> Any:
    """Return the event of a trigger that waits while a job says something and something changes."""
    task = asyncio.create_task(event_of(waiting))
    while line not in job.lines:
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    assert not task.done()
    change()
    return await asyncio.wait_for(task, 60)


def test_it_waits_for_the_end_and_shows_the_log(
    batch: BatchApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line of the job's log is shown once, however many pages there are."""
    batch.log_page = 1
    job = submit(batch, WAITS_FOR_A_FILE)
    event = asyncio.run(event_after(trigger(job), job, "started", (tmp_path / "go").touch))
    assert event == {"status": "ended"}
    shown = capsys.readouterr().out
    assert (shown.count("started"), shown.count("went on")) == (1, 1)
    assert "is SUCCEEDED" in shown
    assert (
        "log of the job: https://console.aws.amazon.com/cloudwatch/home?region=eu-west-1" in shown
    )


def test_the_log_of_every_attempt_is_shown(
    batch: BatchApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """A host that is lost ends a stream; the next attempt's stream follows."""
    job = submit(
        batch,
        """
        import os, time
        number = os.environ["AWS_BATCH_JOB_ATTEMPT"]
        print("attempt", number)
        time.sleep(600 if number == "1" else 0)
        """,
    )
    event = asyncio.run(event_after(trigger(job), job, "attempt 1", lambda: batch.lose_host(job)))
    assert event == {"status": "ended"}
    assert job.status == "SUCCEEDED"
    shown = capsys.readouterr().out
    assert (shown.count("attempt 1"), shown.count("attempt 2")) == (1, 1)


def test_the_last_lines_of_a_failure_are_waited_for(
    batch: BatchApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """A host sends its log late: what arrives soon after a failure is shown too."""
    job = submit(batch, "raise SystemExit('the first line')")
    job.wait("FAILED")
    waiting = trigger(job, last_lines_seconds=0.4)

    async def late() -> Any:
        task = asyncio.create_task(event_of(waiting))
        await asyncio.sleep(0.2)
        job.streams[list(job.streams)[-1]].append((0, "the reason"))
        return await task

    assert asyncio.run(late()) == {"status": "ended"}
    assert "the reason" in capsys.readouterr().out


def test_a_result_on_disk_ends_the_wait(batch: BatchApi, tmp_path: Path) -> None:
    """The step's result fires while the job goes on to its next step."""
    job = submit(batch, WAITS_FOR_A_FILE)
    result = tmp_path / "a result.json"
    waiting = trigger(job, result=result.as_uri())
    assert asyncio.run(event_after(waiting, job, "started", result.touch)) == {"status": "result"}
    assert job.status == "RUNNING"


def test_a_result_on_s3_ends_the_wait(
    batch: BatchApi, s3_bucket: str, s3_options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same in a bucket, through the connection `store`."""
    connection = {
        "conn_type": "aws",
        "login": "test",
        "password": "test-secret",
        "extra": {"endpoint_url": s3_options["AWS_ENDPOINT_URL"], "region_name": "us-east-1"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))
    store = Store(f"s3://{s3_bucket}/prefix", s3_options)
    job = submit(batch, WAITS_FOR_A_FILE)
    waiting = trigger(job, result=f"{store.uri}/train.json")
    event = asyncio.run(
        event_after(waiting, job, "started", lambda: store.write("train.json", b"{}"))
    )
    assert event == {"status": "result"}


@pytest.mark.parametrize("result", ["gs://bucket/train.json", "s3://bucket/train.json"])
def test_a_store_that_cannot_be_looked_at_leaves_the_jobs_end(
    batch: BatchApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: str
) -> None:
    """A store of another kind, or one that does not answer, does not keep the end unnoticed."""
    connection = {
        "conn_type": "aws",
        "login": "test",
        "password": "test-secret",
        "extra": {"endpoint_url": "http://127.0.0.1:9", "region_name": "us-east-1"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))
    job = submit(batch, WAITS_FOR_A_FILE)
    waiting = trigger(job, result=result)
    event = asyncio.run(event_after(waiting, job, "started", (tmp_path / "go").touch))
    assert event == {"status": "ended"}


def test_no_machine_within_the_limit_ends_the_wait(batch: BatchApi) -> None:
    """A job that stays RUNNABLE too long fires; it is the operator that ends it."""
    batch.plans.append(Plan("*", hold="RUNNABLE"))
    job = submit(batch)
    assert asyncio.run(event_of(trigger(job, runnable_seconds=0.3))) == {"status": "no_capacity"}
    assert job.status == "RUNNABLE"


def test_each_attempt_may_wait_for_a_machine(batch: BatchApi) -> None:
    """The time counts from when the job began to wait: an attempt that ran does not count."""
    plan = Plan("*", attempts=(RUN, HOST_LOST))
    batch.plans.append(plan)
    job = submit(batch, "import time; time.sleep(600)")
    job.wait("RUNNING")
    job.created -= 3600
    plan.hold = "RUNNABLE"
    batch.lose_host(job)
    job.wait("RUNNABLE")

    async def waits_at_first() -> Any:
        task = asyncio.create_task(event_of(trigger(job, runnable_seconds=1.0)))
        await asyncio.sleep(0.3)
        assert not task.done()
        return await task

    assert asyncio.run(waits_at_first()) == {"status": "no_capacity"}


def test_an_outage_does_not_end_the_wait(
    batch: BatchApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """Errors and dropped answers of either service are waited out, and said once."""
    batch.faults += [
        Fault("DescribeJobs", (500, "ServerException"), times=3),
        Fault("DescribeJobs", "drop after", after=3, times=2),
        Fault("GetLogEvents", (500, "ServiceUnavailableException"), times=1),
    ]
    job = submit(batch, "print('a line')")
    job.wait()
    assert asyncio.run(event_of(trigger(job))) == {"status": "ended"}
    assert batch.operations().count("DescribeJobs") == 6
    shown = capsys.readouterr().out
    assert shown.count("ServerException") == 1


def test_access_denied_ends_the_wait(batch: BatchApi) -> None:
    """Waiting changes nothing when looking is forbidden; the event says what was answered."""
    batch.faults.append(Fault("DescribeJobs", (403, "AccessDeniedException")))
    event = asyncio.run(event_of(trigger(submit(batch))))
    assert event["status"] == "refused"
    assert "AccessDeniedException" in event["reason"]
    assert "DescribeJobs" in event["reason"]


def test_a_log_that_may_not_be_read_is_said_once(
    batch: BatchApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The job counts, not its log: one warning, and no further try."""
    batch.faults.append(Fault("GetLogEvents", (400, "AccessDeniedException"), times=None))
    job = submit(batch, WAITS_FOR_A_FILE)
    event = asyncio.run(event_after(trigger(job), job, "started", (tmp_path / "go").touch))
    assert event == {"status": "ended"}
    assert capsys.readouterr().out.count("cannot read the job's log") == 1
    assert batch.operations().count("GetLogEvents") == 1


def test_a_job_that_nobody_knows(batch: BatchApi) -> None:
    """Batch forgets a job some days after its end; then the operator must look."""
    job = submit(batch)
    batch.jobs.clear()
    assert asyncio.run(event_of(trigger(job))) == {"status": "gone"}


@pytest.mark.fault("D04")
def test_a_kill_terminates_the_job(batch: BatchApi) -> None:
    """What Airflow calls when a person marks a deferred task failed or clears it (D04)."""
    job = submit(batch, WAITS_FOR_A_FILE)
    job.wait("RUNNING")
    asyncio.run(trigger(job).on_kill())
    job.wait("FAILED")
    assert job.status_reason == "the task was marked failed or cleared in Airflow"


class Supervisor:
    """The process that a triggerer asks: it knows the state of the task."""

    def __init__(self, state: str) -> None:
        self.state = state
        self.may_answer = threading.Event()

    def send(self, question: Any) -> TaskStatesResult | None:
        """Answer as soon as it may; what is no question is taken at once."""
        if not isinstance(question, GetTaskStates):
            return None
        assert self.may_answer.wait(60)
        states = {run_id: {question.task_ids[0]: self.state} for run_id in question.run_ids}
        return TaskStatesResult(task_states=states)


@pytest.mark.parametrize(
    ("state", "answers", "is_ended"),
    [("deferred", True, False), ("failed", True, True), ("deferred", False, True)],
)
def test_a_trigger_that_was_taken_over_ends_no_job(
    batch: BatchApi,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    answers: bool,
    is_ended: bool,
) -> None:
    """A task that still waits does so elsewhere; an answer that does not come holds nothing up."""
    supervisor = Supervisor(state)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    # By reference: an Airflow that loads plugins in this process puts other modules in their place.
    monkeypatch.setattr(batch_triggers, "STATE_SECONDS", 60.0 if answers else 0.5)
    if answers:
        supervisor.may_answer.set()
    waiting = trigger(submit(batch, WAITS_FOR_A_FILE))
    waiting.task_instance = SimpleNamespace(dag_id="d", task_id="t", run_id="r")  # type: ignore[assignment]

    async def kill() -> None:
        await waiting.on_kill()
        supervisor.may_answer.set()  # the loop ends after the thread that asks

    asyncio.run(kill())
    assert ("TerminateJob" in batch.operations()) is is_ended


def test_a_cancelled_wait_leaves_the_job_alone(batch: BatchApi) -> None:
    """A triggerer that shuts down cancels its triggers; their jobs go on (K11)."""
    job = submit(batch, WAITS_FOR_A_FILE)
    job.wait("RUNNING")

    async def cancelled() -> None:
        task = asyncio.create_task(event_of(trigger(job)))
        # The second look: by now every client is open. One that a cancelled thread still makes
        # is a coroutine that nobody awaits.
        while batch.operations().count("DescribeJobs") < 2:
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert "TerminateJob" not in batch.operations()
    assert job.pid is not None


def test_a_trigger_survives_a_move_to_another_triggerer() -> None:
    """Class path and arguments make an equal trigger, and are plain JSON."""
    fields: dict[str, Any] = {
        "job_id": "a-b-c",
        "connection": "aws_default",
        "poll_seconds": 10.0,
        "runnable_seconds": 1800.0,
        "result": "s3://bucket/train.json",
    }
    path, arguments = BatchJobTrigger(**fields).serialize()
    assert path == "batch_triggers.BatchJobTrigger"
    assert BatchJobTrigger(**json.loads(json.dumps(arguments))).serialize() == (path, fields)
