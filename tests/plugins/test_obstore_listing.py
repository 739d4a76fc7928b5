"""Tests of flags on Google Cloud: the worker and the trigger see the same, and news is news.

The bucket is moto's: obstore lists a bucket of Google Cloud as it does one of S3.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from datetime import date
from typing import Any

import boto3
import pytest
from flag_triggers import ObstoreFlagTrigger

from include.orchestration.operators.watched_delivery import WatchedDelivery
from include.retraining.config.model import load_model
from include.retraining.store.object_store import Store
from tests.conftest import S3_OPTIONS
from tests.plugins.test_flag_triggers import refusing_server
from tests.support.event_story import client_settings


def connect(monkeypatch: pytest.MonkeyPatch, uri: str, endpoint: str) -> dict[str, str]:
    """Set the Airflow connection `store` to a server, and return the store's options."""
    account = {
        "gcs_base_url": endpoint,
        "disable_oauth": True,
        "client_email": "",
        "private_key": "",
        "private_key_id": "",
    }
    options = {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(account), "AWS_ALLOW_HTTP": "true"}
    connection = {"conn_type": "generic", "extra": {"uri": uri, "options": options}}
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))
    return options


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A bucket at a gs:// address. A hyphen in its name would be quoted: moto knows it not."""
    name = f"test{uuid.uuid4().hex[:12]}"
    boto3.client("s3", **client_settings(s3_endpoint)).create_bucket(Bucket=name)
    uri = f"gs://{name}/prefix"
    return Store(uri, connect(monkeypatch, uri, s3_endpoint))


def trigger_of(store: Store, **fields: Any) -> ObstoreFlagTrigger:
    """The trigger that the sensor would make."""
    config = load_model("diabetes_progression")
    watched = WatchedDelivery.of(store.uri, config, date(2026, 11, 24))
    settings = {"ignored_flag": None, "seen": None, "reason": "", "poke_seconds": 0.2, **fields}
    made = watched.trigger(deadline=time.time() + 30, **settings)
    assert type(made).__name__ == "ObstoreFlagTrigger"  # Airflow may have loaded the module anew
    return made


FOLDER = "landing/diabetes_progression"


def on_s3(bucket: Store) -> Store:
    """The same bucket by the server's own protocol: of Google Cloud's it takes listings alone."""
    account = json.loads(bucket.options["GOOGLE_SERVICE_ACCOUNT_KEY"])
    options = {**S3_OPTIONS, "AWS_ENDPOINT_URL": account["gcs_base_url"]}
    return Store(bucket.uri.replace("gs://", "s3://"), options)


@pytest.mark.parametrize("names", [(), ("ready.flag",), ("data.csv", "ready.flag", "in/x.csv")])
def test_worker_and_trigger_see_the_same(bucket: Store, names: tuple[str, ...]) -> None:
    """A digest of one is a digest of the other, or the sensor would wake up for nothing."""
    for name in names:
        on_s3(bucket).write(f"{FOLDER}/{name}", name.encode())
    config = load_model("diabetes_progression")
    same = on_s3(bucket)
    seen = WatchedDelivery.of(same.uri, config, date(2026, 11, 24)).observe(same)
    assert seen == asyncio.run(trigger_of(bucket).observe())
    assert seen is not None
    assert (seen.flag is not None) == ("ready.flag" in names)


def test_a_flag_that_lands_is_news(bucket: Store) -> None:
    """The trigger fires when the flag appears."""

    async def story() -> None:
        waiting = asyncio.create_task(anext(trigger_of(bucket).run()))  # type: ignore[arg-type]
        await asyncio.sleep(0.3)
        assert not waiting.done()
        await asyncio.to_thread(on_s3(bucket).write, f"{FOLDER}/ready.flag", b"")
        assert (await asyncio.wait_for(waiting, 20)).payload == {}

    asyncio.run(story())


def test_a_missing_bucket_ends_the_wait(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No bucket of that name: waiting is pointless, and the event says so."""
    connect(monkeypatch, "gs://nosuchbucket", s3_endpoint)
    event = asyncio.run(anext(trigger_of(Store("gs://nosuchbucket")).run()))  # type: ignore[arg-type]
    assert "status code: 404 Not Found" in event.payload["refused"]


def test_a_refusal_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Access denied does not change by waiting, and the event says so."""
    with refusing_server(403) as endpoint:
        connect(monkeypatch, "gs://bucket", endpoint)
        event = asyncio.run(anext(trigger_of(Store("gs://bucket")).run()))  # type: ignore[arg-type]
    assert event.payload["refused"].startswith(f"gs://bucket/{FOLDER}/ready.flag: ")
