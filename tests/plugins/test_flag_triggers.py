"""Tests of the triggers: they fire on news, keep quiet otherwise, and end at the deadline."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent
from flag_triggers import FileFlagTrigger, FlagTrigger, S3FlagTrigger, observe_folder

from include.retraining.store.object_store import Store


class Landing:
    """A folder that a producer writes to."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.flag = folder / "ready.flag"

    def write(self, name: str, text: str = "x") -> None:
        """Write a file."""
        (self.folder / name).write_text(text)

    def trigger(self, *, seconds: float = 20, **fields: Any) -> FileFlagTrigger:
        """Return a trigger that watches this folder, as the sensor would make it now."""
        now = observe_folder(str(self.flag), str(self.folder))
        settings = {"ignored_flag": None, "seen": now.digest, "reason": "it is not there", **fields}
        return FileFlagTrigger(
            flag=str(self.flag),
            folder=str(self.folder),
            poke_seconds=0.02,
            deadline=time.time() + seconds,
            **settings,
        )


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    """An empty landing folder."""
    return Landing(tmp_path / "landing")


async def event_of(trigger: FlagTrigger) -> TriggerEvent:
    """Return the trigger's first event."""
    return await anext(trigger.run())


async def is_quiet(trigger: FlagTrigger, seconds: float = 0.3) -> bool:
    """Whether a trigger has nothing to say before a deadline that is moved near for the moment."""
    far, trigger.deadline = trigger.deadline, time.time() + seconds
    await event_of(trigger)
    near, trigger.deadline = trigger.deadline, far
    return time.time() >= near


async def event_after(trigger: FlagTrigger, *changes: Any) -> TriggerEvent:
    """Return the event of a trigger that is running while something changes."""
    task = asyncio.create_task(event_of(trigger))
    await asyncio.sleep(0.1)
    assert not task.done()
    for change in changes:
        change()
    return await asyncio.wait_for(task, 60)


def test_a_flag_that_lands_is_news(landing: Landing) -> None:
    """The trigger fires when the flag appears."""
    event = asyncio.run(event_after(landing.trigger(), lambda: landing.write("ready.flag")))
    assert event.payload == {}


def test_data_without_a_flag_is_no_news(landing: Landing) -> None:
    """Files that land before the flag wake nobody."""
    trigger = landing.trigger()
    landing.write("data.csv")
    assert asyncio.run(is_quiet(trigger))


def test_what_the_sensor_saw_is_no_news(landing: Landing) -> None:
    """A flag whose delivery was found wanting does not fire again by itself."""
    landing.write("ready.flag")
    assert asyncio.run(is_quiet(landing.trigger()))


def test_data_that_completes_a_delivery_is_news(landing: Landing) -> None:
    """A flag before its data: the data's arrival fires."""
    landing.write("ready.flag")
    event = asyncio.run(event_after(landing.trigger(), lambda: landing.write("data.csv")))
    assert event.payload == {}


def test_a_consumed_flag_is_ignored_until_it_is_written_again(landing: Landing) -> None:
    """New data beside yesterday's flag is no news; the flag written again is."""
    landing.write("ready.flag")
    consumed = observe_folder(str(landing.flag), str(landing.folder)).flag
    trigger = landing.trigger(ignored_flag=consumed)
    landing.write("data.csv")
    assert asyncio.run(is_quiet(trigger))
    event = asyncio.run(event_after(trigger, lambda: landing.write("ready.flag")))
    assert event.payload == {}


def test_a_change_between_the_sensors_look_and_the_trigger_is_news(landing: Landing) -> None:
    """What lands before the trigger starts is not overlooked."""
    trigger = landing.trigger()
    landing.write("ready.flag")
    assert asyncio.run(event_of(trigger)).payload == {}


def test_the_deadline_ends_the_wait(landing: Landing) -> None:
    """At the deadline the trigger fires, though nothing came."""
    started = time.monotonic()
    assert asyncio.run(event_of(landing.trigger(seconds=0.3))).payload == {}
    assert 0.25 < time.monotonic() - started < 3


def test_it_says_why_it_waits_once_a_minute(
    landing: Landing, capsys: pytest.CaptureFixture[str]
) -> None:
    """Many looks leave one line."""
    asyncio.run(event_of(landing.trigger(seconds=0.4, reason="ready.flag is not there yet")))
    assert capsys.readouterr().out.count("waiting: ready.flag is not there yet") == 1


@pytest.mark.parametrize("kind", [FileFlagTrigger, S3FlagTrigger])
def test_a_trigger_survives_a_move_to_another_triggerer(kind: type[FlagTrigger]) -> None:
    """Class path and arguments make an equal trigger, and are plain JSON."""
    fields: dict[str, Any] = {
        "flag": "s3://b/ready.flag",
        "folder": "s3://b/landing",
        "ignored_flag": None,
        "seen": "abc",
        "reason": "it waits",
        "poke_seconds": 5.0,
        "deadline": 1.5,
    }
    path, arguments = kind(**fields).serialize()
    assert path == f"flag_triggers.{kind.__name__}"
    assert kind(**json.loads(json.dumps(arguments))).serialize() == (path, fields)


# S3, on loopback.


@pytest.fixture
def bucket(
    s3_bucket: str, s3_options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """A bucket that the Airflow connection `store` opens."""
    connect(monkeypatch, s3_options["AWS_ENDPOINT_URL"])
    return Store(f"s3://{s3_bucket}/prefix", s3_options)


def connect(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Set the Airflow connection `store` to an S3 server."""
    connection = {
        "conn_type": "aws",
        "login": "test",
        "password": "test-secret",
        "extra": {"endpoint_url": endpoint, "region_name": "us-east-1"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def s3_trigger(address: str, *, seconds: float = 30, **fields: Any) -> S3FlagTrigger:
    """Return a trigger that watches a landing folder in a bucket."""
    settings = {"ignored_flag": None, "seen": None, "reason": "it is not there", **fields}
    return S3FlagTrigger(
        flag=f"{address}/landing/ready.flag",
        folder=f"{address}/landing",
        poke_seconds=0.05,
        deadline=time.time() + seconds,
        **settings,
    )


def test_a_flag_on_s3_is_news(bucket: Store) -> None:
    """The trigger fires when the flag appears in the bucket, data alone wakes nobody."""
    bucket.write("landing/data.csv", b"x")
    trigger = s3_trigger(bucket.uri)
    assert asyncio.run(is_quiet(trigger, 1.5))
    bucket.write("landing/ready.flag", b"")
    assert asyncio.run(event_of(trigger)).payload == {}


def test_a_consumed_flag_on_s3_is_ignored(bucket: Store) -> None:
    """The identity that was decided on does not fire, another content does."""
    bucket.write("landing/ready.flag", b"monday")
    ignored = asyncio.run(s3_trigger(bucket.uri).observe()).flag
    trigger = s3_trigger(bucket.uri, ignored_flag=ignored)
    assert asyncio.run(is_quiet(trigger, 1.0))
    bucket.write("landing/ready.flag", b"tuesday")
    assert asyncio.run(event_of(trigger)).payload == {}


def test_an_empty_flag_written_again_has_another_identity(bucket: Store) -> None:
    """Equal content has an equal ETag, so the time counts too."""
    bucket.write("landing/ready.flag", b"")
    first = asyncio.run(s3_trigger(bucket.uri).observe()).flag
    time.sleep(1.1)  # S3 tells a HEAD whole seconds
    bucket.write("landing/ready.flag", b"")
    assert asyncio.run(s3_trigger(bucket.uri).observe()).flag != first


def test_a_missing_bucket_ends_the_wait(bucket: Store) -> None:
    """No bucket of that name: waiting is pointless, and the event says so."""
    event = asyncio.run(event_of(s3_trigger("s3://no-such-bucket-here")))
    assert "s3://no-such-bucket-here/landing/ready.flag" in event.payload["refused"]
    assert "NoSuchBucket" in event.payload["refused"]


@contextmanager
def refusing_server(*statuses: int) -> Iterator[str]:
    """Serve these statuses one after the other, and the last one from then on."""
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 the base class's name

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.fault("A12")
def test_403_ends_the_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Access denied: the event says so after one look."""
    with refusing_server(403) as endpoint:
        connect(monkeypatch, endpoint)
        event = asyncio.run(event_of(s3_trigger("s3://bucket")))
    assert "403" in event.payload["refused"]


def test_503_is_survived(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An outage is logged and waited out; here a refusal follows it and ends the test."""
    with refusing_server(503, 503, 503, 403) as endpoint:
        connect(monkeypatch, endpoint)
        event = asyncio.run(event_of(s3_trigger("s3://bucket")))
    assert "403" in event.payload["refused"]
    said = [line for line in capsys.readouterr().out.splitlines() if "trying again" in line]
    assert said
    assert "503" in said[0]
