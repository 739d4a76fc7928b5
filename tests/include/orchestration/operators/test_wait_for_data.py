"""Tests of the sensor: what it takes for complete, what it waits for, and how it gives up."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from include.orchestration.operators.wait_for_data import NET_SECONDS, FlagSensor
from include.retraining.config.model import ModelConfig, load_model
from include.retraining.data.delivery import inspect_delivery
from include.retraining.decisions.record import Outcome
from include.retraining.decisions.records import decisions
from include.retraining.runs.journal import runs_to_check
from include.retraining.runs.manifest import TriggeredBy
from include.retraining.runs.reference import RunRef
from include.retraining.steps.close_run import close_run
from include.retraining.store import marker as store_marker
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext

FOLDER = "landing/diabetes_progression"
FLAG = f"{FOLDER}/ready.flag"
DATA = f"{FOLDER}/data.csv"
DAY = datetime(2026, 11, 24, tzinfo=UTC).date()


def model(**trigger: Any) -> ModelConfig:
    """The model that ships, with another trigger."""
    config = load_model("diabetes_progression")
    return config.model_copy(update={"trigger": config.trigger.model_copy(update=trigger)})


def sensor(**trigger: Any) -> FlagSensor:
    """A sensor of that model."""
    return FlagSensor(task_id="wait_for_data", config=model(poke_seconds=0.2, **trigger))


def deferred(task: FlagSensor, context: dict[str, Any], **again: Any) -> TaskDeferred:
    """Run the sensor, which must defer, and return how."""
    look = task.look_again if again else task.execute
    with pytest.raises(TaskDeferred) as caught:
        look(context, **again)
    return caught.value


@pytest.fixture
def store(
    any_store: Store, store_is: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Store:
    """An initialised store that the Airflow connection names, once on disk and once on S3."""
    store_marker.initialise(any_store.uri, any_store.options)
    if any_store.uri.startswith("s3"):
        endpoint = any_store.options["AWS_ENDPOINT_URL"]
        connect_s3(store_is, any_store.uri, endpoint)
    else:
        store_is(any_store.uri)
    monkeypatch.delenv("AIRFLOW_CONN_SLACK_ALERTS", raising=False)
    return any_store


def connect_s3(store_is: Callable[..., None], uri: str, endpoint: str) -> None:
    """Name a store on an S3 server by the Airflow connection."""
    store_is(
        uri,
        conn_type="aws",
        login="test",
        password="test-secret",
        extra={"region_name": "us-east-1", "endpoint_url": endpoint},
    )


def deliver(store: Store, *names: str) -> None:
    """Write files, oldest first, so that S3's whole seconds keep their order."""
    for name in names:
        store.write(name, b"patient_id\n1\n" if name != FLAG else f"{time.time_ns()}".encode())


def consume(store: Store) -> None:
    """Decide on the flag that is there."""
    flag = inspect_delivery(store, model(), DAY, consumed=None).flag
    assert flag is not None
    run = RunRef(
        model="diabetes_progression",
        dag_id="retrain_diabetes_progression",
        run_id="yesterday",
        run_after=datetime(2026, 11, 23, tzinfo=UTC),
        clear=0,
        cause=TriggeredBy(run_type="scheduled"),
    )
    close_run(store, run, Outcome.REJECTED, "not good enough", flag=flag)


async def first_event(trigger: Any) -> dict[str, Any]:
    """Return what the trigger fires with."""
    event = await asyncio.wait_for(anext(trigger.run()), 20)
    return dict(event.payload)


def test_a_run_that_waits_is_known_to_have_begun(store: Store, context: MakeContext) -> None:
    """Should it be killed from here on, the watch finds it and writes its record."""
    deferred(sensor(), context())
    ((run, airflow),) = runs_to_check(store, "diabetes_progression")
    assert (run.run_id, airflow) == (context()["run_id"], "http://localhost:8080")


def test_a_complete_delivery_needs_no_trigger(store: Store, context: MakeContext) -> None:
    """Data and flag are there: the first look is enough."""
    deliver(store, DATA, FLAG)
    sensor().execute(context())


@pytest.mark.fault("A01", "A04")
def test_the_wait_goes_from_nothing_to_complete(
    store: Store, context: MakeContext, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing, then a flag before its data, then both: each time it says why, and ends well."""
    task, now = sensor(), context()
    first = deferred(task, now)
    assert "ready.flag is not there yet" in capsys.readouterr().out
    assert first.method_name == "look_again"

    deliver(store, FLAG)
    event = asyncio.run(first_event(first.trigger))
    second = deferred(task, now, event=event, **first.kwargs)
    assert f"{FOLDER} matches" in capsys.readouterr().out

    deliver(store, DATA, FLAG)
    event = asyncio.run(first_event(second.trigger))
    task.look_again(now, event=event, **second.kwargs)


def test_a_consumed_flag_waits_for_the_next(
    store: Store, context: MakeContext, capsys: pytest.CaptureFixture[str]
) -> None:
    """Yesterday's flag starts nothing, not even beside new data; written again it does."""
    task, now = sensor(), context()
    deliver(store, DATA, FLAG)
    consume(store)
    waiting = deferred(task, now)
    assert "ready.flag is the one already decided on" in capsys.readouterr().out

    deliver(store, DATA)
    far, near = waiting.trigger.deadline, time.time() + 1.5
    waiting.trigger.deadline = near
    asyncio.run(first_event(waiting.trigger))
    assert time.time() >= near  # nothing was news until then
    waiting.trigger.deadline = far
    deliver(store, FLAG)
    task.look_again(now, event=asyncio.run(first_event(waiting.trigger)), **waiting.kwargs)


def test_a_flag_of_a_date_is_asked_of_no_record(store: Store, context: MakeContext) -> None:
    """It starts each run of its date, however many records there are: none is read."""
    deliver(store, DATA, FLAG)
    consume(store)
    for info in store.objects(f"models/{model().name}/decisions"):
        store.write(info.key, b"{")  # so that a read would fail
    date = context()["dag_run"].run_after.date().isoformat()
    folder = FLAG.rpartition("/")[0]
    store.write(f"{folder}/{date}.flag", b"ready")
    sensor(flag=f"{folder}/{{date}}.flag").execute(context())
    with pytest.raises(AirflowFailException, match="not a readable DecisionRecord"):
        sensor().execute(context())


def test_force_retrain_takes_a_consumed_flag(store: Store, context: MakeContext) -> None:
    """A person who forces a run need not have the flag written again."""
    deliver(store, DATA, FLAG)
    consume(store)
    sensor().execute(context(conf={"force_retrain": True, "reason": "new labels"}))


@pytest.mark.fault("A08")
def test_the_total_wait_is_bounded_by_our_own_clock(store: Store, context: MakeContext) -> None:
    """Each deferral gets what is left, not the whole time anew."""
    task, now = sensor(timeout_seconds=100), context()
    before = time.time()
    first = deferred(task, now)
    deadline = first.kwargs["deadline"]
    assert before + 99 < deadline < time.time() + 101
    second = deferred(task, now, event={}, deadline=deadline - 70)
    assert second.kwargs["deadline"] == second.trigger.deadline == deadline - 70
    assert second.timeout is not None
    assert 20 < second.timeout.total_seconds() - NET_SECONDS <= 30


@pytest.mark.fault("A07")
def test_no_data_in_time_fails_without_retry_and_leaves_a_record(
    store: Store, context: MakeContext
) -> None:
    """The reason names what is missing, in the error and in the decision record."""
    task, now = sensor(timeout_seconds=5), context(task_id="wait_for_data")
    with pytest.raises(AirflowFailException, match=r"within 5 s: ready.flag is not there yet"):
        task.look_again(now, event={}, deadline=time.time())
    (record,) = decisions(store, "diabetes_progression")
    assert record.outcome is Outcome.NO_DATA
    assert record.failed_task == "wait_for_data"
    assert record.params is not None
    assert record.params.date == DAY
    assert "ready.flag is not there yet" in record.reason


def test_the_last_look_is_at_the_deadline(store: Store, context: MakeContext) -> None:
    """What landed in the last moment still counts."""
    deliver(store, DATA, FLAG)
    sensor().look_again(context(), event={}, deadline=time.time() - 1)


def test_airflows_own_timeout_ends_in_no_data_too(store: Store, context: MakeContext) -> None:
    """Without a triggerer Airflow ends the wait; the reason is still ours."""
    fields = {"error": "Trigger timeout"}
    with pytest.raises(AirflowFailException, match=r"ready.flag is not there yet"):
        sensor().resume_execution("__fail__", fields, context())
    (record,) = decisions(store, "diabetes_progression")
    assert record.outcome is Outcome.NO_DATA


@pytest.mark.fault("T01")
def test_bad_parameters_fail_at_once(store: Store, context: MakeContext) -> None:
    """The first task refuses what nobody declared, before it looks at any data."""
    deliver(store, DATA, FLAG)
    with pytest.raises(AirflowFailException, match="unknown parameter 'force'; allowed: dry_run"):
        sensor().execute(context(conf={"force": True}))


def test_a_store_that_was_never_initialised_fails_at_once(
    folder_store: Store, store_is: Callable[..., None], context: MakeContext
) -> None:
    """A wrong address is not waited on."""
    store_is(folder_store.uri)
    with pytest.raises(AirflowFailException, match="is not a store"):
        sensor().execute(context())


def test_a_flag_and_data_on_two_kinds_of_storage_fail_at_once(
    store: Store, context: MakeContext, tmp_path: Any
) -> None:
    """One trigger watches both."""
    other = "s3://elsewhere/ready.flag" if store.uri.startswith("file") else "file:///x/ready.flag"
    with pytest.raises(AirflowFailException, match="both must be of the same kind"):
        sensor(flag=other).execute(context())


def test_a_refusal_that_the_trigger_met_fails_at_once(store: Store, context: MakeContext) -> None:
    """The trigger's sentence is the error."""
    with pytest.raises(AirflowFailException, match=r"s3://b/ready.flag: 403"):
        sensor().look_again(context(), event={"refused": "s3://b/ready.flag: 403"})


@contextmanager
def server(status: Callable[[str, str], int], body: bytes = b"") -> Iterator[str]:
    """Serve what ``status`` says for a method and path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code = status(self.command, self.path)
            content = body if code == 200 else b""
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Last-Modified", "Tue, 24 Nov 2026 06:00:00 GMT")
            self.send_header("ETag", '"x"')
            self.end_headers()
            self.wfile.write(content if self.command == "GET" else b"")

        do_HEAD = do_GET  # noqa: N815 the base class's name

        def log_message(self, *arguments: Any) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=served.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{served.server_port}"
    finally:
        served.shutdown()
        served.server_close()
        thread.join()


MARKER = json.dumps({"format": 1, "store_id": "x", "created_at": "2026-11-24T00:00:00Z"}).encode()


@pytest.mark.fault("A12")
@pytest.mark.parametrize("what", ["everything", "the listing"])
def test_403_fails_at_once(store_is: Callable[..., None], context: MakeContext, what: str) -> None:
    """Denied is denied, whether for every request or for listings only."""

    def status(method: str, path: str) -> int:
        is_marker = method == "GET" and "store.json" in path
        return 200 if what == "the listing" and is_marker else 403

    with server(status, MARKER) as endpoint:
        connect_s3(store_is, "s3://bucket", endpoint)
        with pytest.raises(AirflowFailException, match=r"denied|403"):
            sensor().execute(context())


def test_503_is_one_more_thing_to_wait_for(
    store_is: Callable[..., None], context: MakeContext, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store that does not answer now may answer later."""
    with server(lambda _method, _path: 503) as endpoint:
        connect_s3(store_is, "s3://bucket", endpoint)
        waiting = deferred(sensor(), context())
    assert waiting.trigger.seen is None
    assert "503" in capsys.readouterr().out


def test_it_always_defers_and_never_pokes() -> None:
    """No setting of Airflow turns it into a sensor that holds a worker slot."""
    assert sensor().deferrable
    assert os.environ.get("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE") is None


@pytest.mark.fault("A08")
def test_a_retry_does_not_wait_anew(store: Store, context: MakeContext) -> None:
    """The time to wait is counted from the run's start, not from each attempt's."""
    now = context(task_id="wait_for_data", try_number=2)
    now["dag_run"].start_date = datetime.now(UTC) - timedelta(seconds=90)
    left = deferred(sensor(timeout_seconds=100), now).kwargs["deadline"] - time.time()
    assert 5 < left <= 10
    now["dag_run"].start_date -= timedelta(seconds=20)
    with pytest.raises(AirflowFailException, match="within 100 s"):
        sensor(timeout_seconds=100).execute(now)
