"""Tests of the trigger that waits for a pod or a result: a cluster on loopback, real stores."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pod_triggers
import pytest
from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger
from airflow.sdk.serde import deserialize, serialize
from airflow.triggers.base import TriggerEvent
from pod_triggers import JobPodTrigger

from include.retraining.store.object_store import Store
from tests.support.kubernetes_api import KubernetesApi, kubernetes_api
from tests.support.kubernetes_pods import Script

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApi]:
    """A cluster with one pod that works for a long time."""
    endless = (sys.executable, "-c", "import time; time.sleep(600)")
    with kubernetes_api(tmp_path, command=endless) as running:
        monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", running.connection())
        yield running


def submit(api: KubernetesApi) -> None:
    """Make the pod."""
    container = {"name": "job", "image": "example.org/retraining"}
    pod = {"metadata": {"name": "it"}, "spec": {"containers": [container]}}
    request = urllib.request.Request(
        f"{api.endpoint}/api/v1/namespaces/models/pods",
        json.dumps(pod).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request).close()


def trigger(result: Path | str) -> JobPodTrigger:
    """The trigger of a step's result, after its way through Airflow's database."""
    of_pod = KubernetesPodTrigger(
        pod_name="it",
        pod_namespace="models",
        trigger_start_time=datetime.now(UTC),
        base_container_name="job",
        kubernetes_conn_id="kubernetes_default",
        poll_interval=0.1,
        startup_check_interval=1,
        trigger_kwargs={"more": 1},
    )
    uri = result if isinstance(result, str) else result.as_uri()
    made = JobPodTrigger(pod=of_pod.serialize()[1], result_uri=uri, poll_seconds=0.05)
    name, fields = made.serialize()
    assert name == "pod_triggers.JobPodTrigger"
    kept: Any = deserialize(json.loads(json.dumps(serialize(fields))))
    return JobPodTrigger(**kept)


async def is_looking(api: KubernetesApi) -> None:
    """Wait until a trigger looks at the pod."""
    before = len(api.calls("GET", "/pods/it"))
    while len(api.calls("GET", "/pods/it")) == before:
        await asyncio.sleep(0.02)


def event_after(
    api: KubernetesApi, waiting: JobPodTrigger, change: Callable[[], Any]
) -> dict[str, Any]:
    """Return the event of a trigger that is running while something changes."""

    async def first() -> Any:
        events = waiting.run()
        task = asyncio.ensure_future(anext(events))
        await is_looking(api)
        assert not task.done()
        await asyncio.to_thread(change)
        payload = (await asyncio.wait_for(task, 60)).payload
        await events.aclose()
        assert len(asyncio.all_tasks()) == 1, "something still waits"
        return payload

    event: dict[str, Any] = asyncio.run(first())
    return event


def test_a_result_ends_the_wait(api: KubernetesApi, tmp_path: Path) -> None:
    """The result is there while the pod goes on: the event says so, and nothing waits any more."""
    submit(api)
    result = tmp_path / "a folder" / "validate.json"
    result.parent.mkdir()
    event = event_after(api, trigger(result), lambda: result.write_text("{}"))
    assert event == {
        "status": "result",
        "name": "it",
        "namespace": "models",
        "last_log_time": None,
        "more": 1,
    }
    assert api.process("it").poll() is None


def test_a_result_on_s3_ends_the_wait(
    api: KubernetesApi, s3_bucket: str, s3_options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket is asked through the Airflow connection `store`."""
    connection = {
        "conn_type": "aws",
        "login": s3_options["AWS_ACCESS_KEY_ID"],
        "password": s3_options["AWS_SECRET_ACCESS_KEY"],
        "extra": {
            "region_name": s3_options["AWS_REGION"],
            "endpoint_url": s3_options["AWS_ENDPOINT_URL"],
        },
    }
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))
    submit(api)
    store = Store(f"s3://{s3_bucket}", s3_options)
    waiting = trigger(f"s3://{s3_bucket}/run/validate.json")
    event = event_after(api, waiting, lambda: store.write("run/validate.json", b"{}"))
    assert event["status"] == "result"


class Deaf:
    """The provider's watch of a pod, which loses the first cancellation."""

    pod_name, pod_namespace, last_log_time, trigger_kwargs = "it", "models", None, {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for ever, and hear only the second of two cancellations."""
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()
        yield TriggerEvent({})


def test_a_lost_cancellation_does_not_hold_the_trigger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch that did not hear of its end is cancelled again."""
    monkeypatch.setattr(pod_triggers, "CANCEL_AGAIN_SECONDS", 0.01)
    result = tmp_path / "validate.json"
    waiting = trigger(result)
    waiting._of_pod = Deaf()  # type: ignore[assignment] as much of it as is used

    async def first() -> Any:
        events = waiting.run()
        task = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        result.write_text("{}")
        payload = (await asyncio.wait_for(task, 60)).payload
        await asyncio.wait_for(events.aclose(), 60)
        return payload

    assert asyncio.run(first())["status"] == "result"


def test_the_pods_end_ends_the_wait(api: KubernetesApi, tmp_path: Path) -> None:
    """Without a result the event is the provider's own."""
    submit(api)
    event = event_after(api, trigger(tmp_path / "none.json"), api.process("it").kill)
    assert (event["status"], event["name"], event["more"]) == ("failed", "it", 1)


def test_a_store_that_cannot_be_looked_at_does_not_end_the_wait(
    api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does an address that nobody can watch: the pod's end comes in any case."""
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps({"conn_type": "generic"}))
    submit(api)
    event = event_after(api, trigger("s3://nowhere/result.json"), lambda: api.vanish("it"))
    assert event["status"] == "error"


@pytest.mark.fault("K11")
def test_a_person_who_ends_the_task_deletes_the_pod(api: KubernetesApi, tmp_path: Path) -> None:
    """The triggerer cancels the trigger, then calls `on_kill` (K11)."""
    submit(api)
    waiting = trigger(tmp_path / "none.json")
    cancel(api, waiting)
    asyncio.run(waiting.on_kill())
    api.wait_for(lambda: not api.names())


@pytest.mark.fault("K11")
def test_a_triggerer_that_restarts_leaves_the_pod(api: KubernetesApi, tmp_path: Path) -> None:
    """It cancels the trigger and cleans it up: the pod goes on, and another takes over (K11)."""
    submit(api)
    waiting = trigger(tmp_path / "none.json")
    cancel(api, waiting)
    assert api.calls("DELETE") == []
    assert api.process("it").poll() is None
    event = event_after(api, trigger(tmp_path / "none.json"), api.process("it").kill)
    assert event["status"] == "failed"


def cancel(api: KubernetesApi, waiting: JobPodTrigger) -> None:
    """Run a trigger for a moment, cancel it and clean it up."""

    async def run() -> None:
        task = asyncio.ensure_future(anext(waiting.run()))
        await is_looking(api)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await waiting.cleanup()
        assert len(asyncio.all_tasks()) == 1, "something still waits"

    asyncio.run(run())


def test_a_pod_that_never_starts_is_the_providers_to_give_up(
    api: KubernetesApi, tmp_path: Path
) -> None:
    """The startup timeout holds beside the look for a result."""
    api.scripts.append(Script("unschedulable"))
    submit(api)
    waiting = trigger(tmp_path / "none.json")
    waiting.pod.update(schedule_timeout=2, startup_timeout=2)
    assert event_after(api, waiting, lambda: None)["status"] == "timeout"
