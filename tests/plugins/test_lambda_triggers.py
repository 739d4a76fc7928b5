"""Tests of the trigger that waits for what an invocation of AWS Lambda leaves in the store."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lambda_triggers
import pytest
from lambda_triggers import LambdaJobTrigger

from include.retraining.runs.claims import JobStart
from include.retraining.runs.job_end import JobEnd
from include.retraining.store.object_store import Store
from tests.support.aws_lambda_api import lambda_api

LOG = "/aws/lambda/training:stream"
STARTED, ENDED, RESULT = "001.started.json", "001.ended.json", "a result.json"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Believe the clocks; where a test has no log, nobody outside of it is asked for one."""
    nobody = {"endpoint_url": "http://127.0.0.1:9", "region_name": "us-east-1"}
    aws = {"conn_type": "aws", "login": "t", "password": "test-secret", "extra": nobody}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws))
    # By reference: an Airflow that loads plugins in this process puts other modules in their place.
    monkeypatch.setattr(lambda_triggers, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(LambdaJobTrigger, "last_lines_seconds", 0.2)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.fixture
def stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, str]]]:
    """The events of the log stream that `start` names."""
    with lambda_api(folder=tmp_path) as api:
        api.define("training", image="training:1")
        environment = SimpleNamespace(
            function=api.functions[0], stream="stream", events=[], is_dead=True
        )
        api.environments.append(environment)  # type: ignore[arg-type]
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", api.connection)
        yield environment.events


def trigger(uri: str, *, start_seconds: float = 60.0, **fields: Any) -> LambdaJobTrigger:
    """Return the trigger of a job whose objects lie below an address."""
    settings = {
        "started": f"{uri}/{STARTED}",
        "ended": f"{uri}/{ENDED}",
        "result": f"{uri}/{RESULT}",
        "start_by": time.time() + start_seconds,
        "connection": "aws_default",
        "poll_seconds": 0.05,
        **fields,
    }
    return LambdaJobTrigger(**settings)


def end(exit_code: int) -> bytes:
    """What a job puts down when it has ended."""
    now = datetime.now(UTC)
    return JobEnd(number=1, how="exited", exit_code=exit_code, last_line="", at=now).to_bytes()


def start(*, seconds: float = 60.0, job: str | None = "request:1") -> bytes:
    """What a job puts down that ends in so many seconds at the latest."""
    now = datetime.now(UTC)
    ends_by = now + timedelta(seconds=seconds)
    return JobStart(number=1, job=job, at=now, ends_by=ends_by, log=LOG).to_bytes()


async def event_of(waiting: LambdaJobTrigger) -> Any:
    """Return the payload of the trigger's event, of which there is one."""
    (event,) = [event async for event in waiting.run()]
    return event.payload


async def event_after(waiting: LambdaJobTrigger, change: Callable[[], Any]) -> Any:
    """Return the event of a trigger that waits until something changes."""
    task = asyncio.create_task(event_of(waiting))
    await asyncio.sleep(0.2)
    assert not task.done()
    change()
    return await asyncio.wait_for(task, 60)


@pytest.mark.parametrize(("name", "status"), [(RESULT, "result"), (ENDED, "ended")])
def test_a_result_or_an_end_on_disk_ends_the_wait(tmp_path: Path, name: str, status: str) -> None:
    """Whichever comes first; the operator judges what it is worth."""
    (tmp_path / STARTED).write_bytes(start())
    waiting = trigger(tmp_path.as_uri())
    change = partial((tmp_path / name).write_bytes, end(0))
    assert asyncio.run(event_after(waiting, change)) == {"status": status}


def test_a_result_that_is_no_evidence_is_not_waited_for(tmp_path: Path) -> None:
    """The operator has seen it: only the end counts."""
    (tmp_path / RESULT).touch()
    waiting = trigger(tmp_path.as_uri(), result=None)
    event = asyncio.run(event_after(waiting, partial((tmp_path / ENDED).write_bytes, end(0))))
    assert event == {"status": "ended"}


def test_an_end_on_s3_ends_the_wait(
    s3_bucket: str,
    s3_options: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same in a bucket, through the connection `store`; the start is read there too."""
    connection = {
        "conn_type": "aws",
        "login": "test",
        "password": "test-secret",
        "extra": {"endpoint_url": s3_options["AWS_ENDPOINT_URL"], "region_name": "us-east-1"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))
    store = Store(f"s3://{s3_bucket}/prefix", s3_options)
    store.write(STARTED, start())

    async def ended_later() -> Any:
        task = asyncio.create_task(event_of(trigger(store.uri, start_seconds=-1)))
        said = ""
        while "the function runs the job" not in said:
            await asyncio.sleep(0.02)
            said += capsys.readouterr().out
        store.write(ENDED, end(0))
        return await asyncio.wait_for(task, 60)

    assert asyncio.run(ended_later()) == {"status": "ended"}


def test_the_lines_of_the_job_are_shown(
    tmp_path: Path, stream: list[tuple[int, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the environment's log what came after the job's start, also what came a little late."""
    stream += [(0, "another job"), (int(time.time() * 1000) + 1000, "a line of the job")]
    (tmp_path / STARTED).write_bytes(start())
    (tmp_path / ENDED).write_bytes(end(1))

    async def late() -> Any:
        task = asyncio.create_task(event_of(trigger(tmp_path.as_uri())))
        said = ""
        while "a line of the job" not in said:
            await asyncio.sleep(0.01)
            said += capsys.readouterr().out
        stream.append((int(time.time() * 1000) + 1000, "the reason"))
        return await task, said

    event, said = asyncio.run(late())
    assert event == {"status": "ended"}
    assert "another job" not in said
    assert "the reason" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, start(job=None)], ids=["nothing", "a void claim"])
def test_a_job_that_has_not_started_in_time_ends_the_wait(
    tmp_path: Path, content: bytes | None
) -> None:
    """It is the operator that forbids it to start."""
    if content is not None:
        (tmp_path / STARTED).write_bytes(content)
    waiting = trigger(tmp_path.as_uri(), start_seconds=0.3)
    assert asyncio.run(event_of(waiting)) == {"status": "not_started"}


def test_a_job_that_must_have_ended_ends_the_wait(tmp_path: Path) -> None:
    """The job said itself by when its function is ended."""
    (tmp_path / STARTED).write_bytes(start(seconds=0.4))
    waiting = trigger(tmp_path.as_uri(), start_seconds=0.0)
    assert asyncio.run(event_of(waiting)) == {"status": "overdue"}


def test_an_outage_does_not_end_the_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store that does not answer is asked again, and said once."""
    connection = {"conn_type": "aws", "login": "t", "password": "test-secret"}
    extra = {"endpoint_url": "http://127.0.0.1:9", "region_name": "us-east-1"}
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps({**connection, "extra": extra}))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    async def cancelled() -> None:
        task = asyncio.create_task(event_of(trigger("s3://bucket/prefix")))
        while "cannot read the store now" not in capsys.readouterr().out:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert "cannot read the store now" not in capsys.readouterr().out


def test_access_denied_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting changes nothing when there are no keys; the event says so."""
    connection = {"conn_type": "aws", "extra": {"region_name": "us-east-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    event = asyncio.run(event_of(trigger("s3://bucket/prefix")))
    assert event == {"status": "refused", "reason": "Unable to locate credentials"}


def test_a_trigger_survives_a_move_to_another_triggerer(tmp_path: Path) -> None:
    """Class path and arguments make an equal trigger, and are plain JSON."""
    path, fields = trigger(tmp_path.as_uri()).serialize()
    assert path == "lambda_triggers.LambdaJobTrigger"
    assert LambdaJobTrigger(**json.loads(json.dumps(fields))).serialize() == (path, fields)
