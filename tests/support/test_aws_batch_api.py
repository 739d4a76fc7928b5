"""Tests of the stand-in itself, through the real client: what it says is what Batch would say."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.support.aws_batch_api import (
    HOST_LOST,
    RUN,
    SUCCEED,
    BatchApi,
    End,
    Fault,
    Plan,
    batch_api,
)

EVALUATE_ON_EXIT = [
    {"onStatusReason": "Host EC2*", "action": "RETRY"},
    {"onReason": "*", "action": "EXIT"},
]


@pytest.fixture
def batch(tmp_path: Path) -> Iterator[BatchApi]:
    """A stand-in whose jobs are Python programs."""
    with batch_api(prefix=[sys.executable, "-uc"], folder=tmp_path) as api:
        api.define("python", image="python:3.12")
        yield api


@pytest.fixture
def client(batch: BatchApi) -> Any:
    """The real client, which asks once."""
    return aws(batch, "batch")


def aws(batch: BatchApi, service: str) -> Any:
    """Return a client of a service of AWS."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        endpoint_url=batch.endpoint,
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


def submit(client: Any, program: str = "", *, name: str = "job", **more: Any) -> str:
    """Submit a program and return the job's id."""
    request = {
        "jobName": name,
        "jobQueue": "queue",
        "jobDefinition": "python:1",
        "containerOverrides": {"command": [textwrap.dedent(program)]},
        "retryStrategy": {"attempts": 3, "evaluateOnExit": EVALUATE_ON_EXIT},
        **more,
    }
    return str(client.submit_job(**request)["jobId"])


def ended(batch: BatchApi, client: Any, job_id: str) -> dict[str, Any]:
    """Wait for a job's end and return what DescribeJobs says of it."""
    next(job for job in batch.jobs if job.id == job_id).wait()
    found: dict[str, Any] = client.describe_jobs(jobs=[job_id])["jobs"][0]
    return found


def test_a_job_is_a_process(batch: BatchApi, client: Any) -> None:
    """Its command runs with the request's environment and Batch's own, and its lines are events."""
    batch.log_page = 2
    program = """
        import os
        print(os.environ["AWS_BATCH_JOB_ATTEMPT"], os.environ["THREADS"])
        print(os.environ["AWS_BATCH_JOB_ID"])
        print("end", "AIRFLOW_HOME" in os.environ)
    """
    job_id = submit(
        client,
        containerOverrides={
            "command": [textwrap.dedent(program)],
            "environment": [{"name": "THREADS", "value": "2"}],
        },
    )
    job = ended(batch, client, job_id)
    assert (job["status"], job["container"]["exitCode"]) == ("SUCCEEDED", 0)
    logs, lines, token = aws(batch, "logs"), [], {}
    while True:
        page = logs.get_log_events(
            logGroupName="/aws/batch/job",
            logStreamName=job["container"]["logStreamName"],
            startFromHead=True,
            **token,
        )
        lines += [event["message"] for event in page["events"]]
        if token == {"nextToken": page["nextForwardToken"]}:
            break
        token = {"nextToken": page["nextForwardToken"]}
    assert lines == ["1 2", job_id, "end False"]


def test_jobs_are_found_by_name(batch: BatchApi, client: Any) -> None:
    """ListJobs filters by name, in any state, the newest first; a hidden one comes late."""
    batch.plans.append(Plan("late", hidden_seconds=0.5))
    first, second = submit(client), submit(client)
    submit(client, name="late")
    ended(batch, client, second)

    def named(name: str) -> list[str]:
        page = client.list_jobs(jobQueue="queue", filters=[{"name": "JOB_NAME", "values": [name]}])
        return [job["jobId"] for job in page["jobSummaryList"]]

    assert named("JOB") == [second, first]
    assert named("other") == []
    assert named("late") == []
    batch.wait(lambda: not batch.jobs[2].is_hidden)
    assert len(named("la*")) == 1


def test_host_loss_alone_is_retried(batch: BatchApi, client: Any) -> None:
    """An attempt whose host was lost is followed by another; an exit code is not."""
    batch.plans += [
        Plan("spot", attempts=(HOST_LOST, RUN)),
        Plan("oom", attempts=(End(137, reason="OutOfMemoryError: killed"), SUCCEED)),
    ]
    program = "import os; raise SystemExit(int(os.environ['AWS_BATCH_JOB_ATTEMPT']) - 2)"
    spot = ended(batch, client, submit(client, program, name="spot"))
    assert spot["status"] == "SUCCEEDED"
    assert [one["statusReason"][:8] for one in spot["attempts"]] == ["Host EC2", "Essentia"]
    oom = ended(batch, client, submit(client, name="oom"))
    assert (oom["status"], len(oom["attempts"])) == ("FAILED", 1)
    assert oom["container"]["reason"].startswith("OutOfMemoryError")


ENDLESS = """
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("started")
    time.sleep(600)
"""


def test_terminate_ends_the_process_group(batch: BatchApi, client: Any) -> None:
    """A job that ignores SIGTERM is killed, and its status reason is the one that was given."""
    job_id = submit(client, ENDLESS)
    batch.wait(lambda: "started" in batch.jobs[0].lines)
    client.terminate_job(jobId=job_id, reason="enough")
    job = ended(batch, client, job_id)
    assert (job["status"], job["statusReason"], job["isTerminated"]) == ("FAILED", "enough", True)
    assert batch.jobs[0].pid is None


def test_a_timeout_ends_a_job(batch: BatchApi, client: Any) -> None:
    """A job's timeout is enforced, in Batch's own words, and is not retried."""
    batch.seconds = 0.01
    job = ended(batch, client, submit(client, ENDLESS, timeout={"attemptDurationSeconds": 60}))
    assert job["statusReason"] == "Job attempt duration exceeded timeout"
    assert len(job["attempts"]) == 1


def test_a_job_may_be_held(batch: BatchApi, client: Any) -> None:
    """A job is RUNNABLE for as long as its plan holds it, and TerminateJob ends it there too."""
    hold = Plan("*", hold="RUNNABLE")
    batch.plans.append(hold)
    first, second = submit(client), submit(client)
    batch.jobs[0].wait("RUNNABLE")
    client.terminate_job(jobId=first, reason="no capacity")
    assert ended(batch, client, first)["statusReason"] == "no capacity"
    batch.release(hold)
    assert ended(batch, client, second)["status"] == "SUCCEEDED"


def test_a_lost_answer_is_still_a_submission(batch: BatchApi, client: Any) -> None:
    """Dropped after: the job is there. Dropped before, or refused: it is not."""
    batch.faults += [
        Fault("SubmitJob", "drop after"),
        Fault("SubmitJob", "drop before", after=1),
        Fault("SubmitJob", (429, "TooManyRequestsException"), after=2),
    ]
    for error, count in ((ConnectionClosedError, 1), (ConnectionClosedError, 1), (ClientError, 1)):
        with pytest.raises(error):
            submit(client)
        assert len(batch.submissions("job")) == count
    assert batch.operations() == ["SubmitJob"] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"jobQueue": "other"}, "JobQueue other not found"),
        ({"jobDefinition": "python:2"}, "python:2 is not active"),
        ({"timeout": {"attemptDurationSeconds": 59}}, "at least 60"),
    ],
)
def test_what_batch_refuses(client: Any, change: dict[str, Any], message: str) -> None:
    """A queue, a revision and a timeout that do not exist are a ClientException."""
    with pytest.raises(ClientError, match=message) as error:
        submit(client, **change)
    assert error.value.response["Error"]["Code"] == "ClientException"
