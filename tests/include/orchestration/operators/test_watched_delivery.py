"""Tests of what is watched: the worker and the trigger must see the same thing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import date

import pytest

from include.orchestration.operators.watched_delivery import WatchedDelivery
from include.retraining.config.model import ModelConfig, load_model
from include.retraining.exceptions import ConfigError
from include.retraining.store.object_store import Store

DAY = date(2026, 11, 24)


def model(*, flag: str, location: str) -> ModelConfig:
    """A model with other addresses."""
    config = load_model("diabetes_progression")
    return config.model_copy(
        update={
            "trigger": config.trigger.model_copy(update={"flag": flag}),
            "data": config.data.model_copy(update={"location": location}),
        }
    )


@pytest.mark.parametrize(
    ("flag", "location", "expected"),
    [
        ("in/ready.flag", "in", ("s3://b/p/in/ready.flag", "s3://b/p/in")),
        (
            "s3://c/{date}/_SUCCESS",
            "s3://c/{date}",
            ("s3://c/2026-11-24/_SUCCESS", "s3://c/2026-11-24"),
        ),
        ("s3://c/ready.flag", "in/{date}", ("s3://c/ready.flag", "s3://b/p/in/2026-11-24")),
    ],
)
def test_addresses_are_absolute_and_dated(
    flag: str, location: str, expected: tuple[str, str]
) -> None:
    """A relative address starts at the store; `{date}` is the data's day."""
    watched = WatchedDelivery.of("s3://b/p", model(flag=flag, location=location), DAY)
    assert (watched.flag, watched.folder) == expected


@pytest.mark.parametrize("uri", ["gs://bucket", "az://container"])
def test_every_kind_of_store_is_watched(uri: str) -> None:
    """Google Cloud and Azure have a trigger of their own."""
    watched = WatchedDelivery.of(uri, model(flag="in/ready.flag", location="in"), DAY)
    trigger = watched.trigger(
        ignored_flag=None, seen=None, reason="", poke_seconds=1, deadline=time.time() + 9
    )
    assert type(trigger).__name__ == "ObstoreFlagTrigger"
    assert trigger.flag == f"{uri}/in/ready.flag"


def test_a_flag_and_data_of_two_kinds_are_refused() -> None:
    """One trigger watches both; the error says what is possible."""
    config = model(flag="s3://c/ready.flag", location="in")
    with pytest.raises(ConfigError, match="both must be of the same kind: file://, s3://, gs://"):
        WatchedDelivery.of("gs://bucket", config, DAY)


@pytest.mark.parametrize("names", [(), ("ready.flag",), ("data.csv", "ready.flag", "x.tmp")])
def test_worker_and_trigger_see_the_same(
    any_store: Store, store_is: Callable[..., None], names: tuple[str, ...]
) -> None:
    """A digest of one is a digest of the other, or the sensor would wake up for nothing."""
    if any_store.uri.startswith("s3"):
        endpoint = any_store.options["AWS_ENDPOINT_URL"]
        extra = {"endpoint_url": endpoint, "region_name": "us-east-1"}
        store_is(any_store.uri, conn_type="aws", login="test", password="x", extra=extra)
    for name in names:
        any_store.write(f"in/{name}", name.encode())
    any_store.write("in/deeper/data.csv", b"of no interest")
    config = model(flag="in/ready.flag", location="in")
    watched = WatchedDelivery.of(any_store.uri, config, DAY)
    trigger = watched.trigger(
        ignored_flag=None, seen=None, reason="", poke_seconds=1, deadline=time.time() + 9
    )
    seen = watched.observe(any_store)
    assert seen == asyncio.run(trigger.observe())
    assert (seen.flag is not None) == ("ready.flag" in names)
