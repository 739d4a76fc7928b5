"""Tests of the shared listing: exact, and its requests do not grow with models or with history."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flag_triggers import S3FlagTrigger
from hypothesis import given
from hypothesis import strategies as st
from prefix_listing import bucket_listing, list_places, seconds_to_next_poll

from include.retraining.store.object_store import Store
from tests.support.s3_proxy import Fault, Proxy, s3_proxy

FAR = 10_000_000_000.0


class PagedBucket:
    """A bucket that answers ListObjectsV2 as S3 does, with small pages."""

    def __init__(self, keys: set[str], page: int) -> None:
        self.keys = sorted(keys)
        self.page = page
        self.requests = 0

    async def list_objects_v2(self, **request: str) -> dict[str, Any]:
        """Answer one request."""
        self.requests += 1
        prefix, after = request["Prefix"], request["StartAfter"]
        left = [key for key in self.keys if key.startswith(prefix) and key > after]
        contents = [{"Key": key} for key in left[: self.page]]
        return {"Contents": contents, "IsTruncated": len(left) > self.page}


names = st.text("ab./0-", min_size=1, max_size=6)


@given(keys=st.sets(names, max_size=40), places=st.sets(names, min_size=1, max_size=6))
def test_a_place_has_its_objects_and_no_others(keys: set[str], places: set[str]) -> None:
    """Skipping from place to place finds what listing everything finds."""
    bucket = PagedBucket(keys, page=2)
    listed = asyncio.run(list_places(bucket, "bucket", places))
    for place in places:
        expected = [
            key
            for key in bucket.keys
            if not key.endswith("/")
            and (key == place or (place.endswith("/") and key[: key.rfind("/") + 1] == place))
        ]
        assert [item["Key"] for item in listed[place]] == expected


def test_old_deliveries_between_two_flags_cost_no_request() -> None:
    """A listing skips what nobody waits for: at most one request for each place."""
    history = {
        f"landing/{model}/{day:04}/part.csv" for model in ("a", "b", "c") for day in range(2000)
    }
    bucket = PagedBucket(history, page=100)
    places = [f"landing/{model}/2001/" for model in ("a", "b", "c")]
    asyncio.run(list_places(bucket, "bucket", places))
    assert bucket.requests <= len(places)


def test_an_archive_within_a_delivery_costs_one_request() -> None:
    """Of a folder's inner folders nothing counts, so a page full of one is skipped to its end."""
    keys = {f"in/archive/{number:04}" for number in range(2000)} | {"in/data.csv", "in/ready.flag"}
    bucket = PagedBucket(keys, page=100)
    listed = asyncio.run(list_places(bucket, "bucket", ["in/", "in/ready.flag"]))
    assert [item["Key"] for item in listed["in/"]] == ["in/data.csv", "in/ready.flag"]
    assert bucket.requests == 2


def test_a_folder_within_another_ones_delivery_is_not_skipped() -> None:
    """An inner folder that somebody waits for is listed to its end."""
    keys = {f"in/archive/{number:04}" for number in range(250)} | {"in/data.csv"}
    bucket = PagedBucket(keys, page=100)
    listed = asyncio.run(list_places(bucket, "bucket", ["in/", "in/archive/"]))
    assert [item["Key"] for item in listed["in/"]] == ["in/data.csv"]
    assert len(listed["in/archive/"]) == 250


def test_all_who_poll_as_often_do_so_at_the_same_moments() -> None:
    """However late a trigger starts, its next poll is at a moment that all have in common."""
    assert 0 < seconds_to_next_poll(5.0) <= 5.0


# On loopback.


@pytest.fixture
def proxy(
    s3_endpoint: str, s3_bucket: str, s3_options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Proxy, Store]]:
    """A proxy that counts the triggers' requests, and the bucket behind it."""
    with s3_proxy(s3_endpoint) as running:
        connection = {
            "conn_type": "aws",
            "login": "test",
            "password": "test-secret",
            "extra": {"endpoint_url": running.endpoint, "region_name": "us-east-1"},
        }
        monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        yield running, Store(f"s3://{s3_bucket}/prefix", s3_options)


def triggers(store: Store, count: int) -> list[S3FlagTrigger]:
    """Return triggers of as many models."""
    return [
        S3FlagTrigger(
            flag=f"{store.uri}/landing/model_{number}/ready.flag",
            folder=f"{store.uri}/landing/model_{number}",
            ignored_flag=None,
            seen=None,
            reason="it is not there",
            poke_seconds=5,
            deadline=FAR,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [1, 100])
def test_a_poll_of_any_number_of_models_is_one_request(
    proxy: tuple[Proxy, Store], count: int
) -> None:
    """Triggers that poll at the same moment share one listing."""
    running, store = proxy
    store.write("landing/model_0/ready.flag", b"")

    async def observe() -> list[str | None]:
        observations = []
        for trigger in triggers(store, count):
            observations.append(asyncio.create_task(trigger.observe()))
            await asyncio.sleep(0)  # their timers do not all fire in one turn of the loop
        return [observation.flag for observation in await asyncio.gather(*observations)]

    flags = asyncio.run(observe())
    assert flags[0] is not None
    assert flags[1:] == [None] * (count - 1)
    assert [method for method, _ in running.requests] == ["GET"]


def test_a_trigger_that_is_cancelled_takes_no_answer_from_the_others(
    proxy: tuple[Proxy, Store],
) -> None:
    """One of two that share a listing is cancelled; the other one gets its answer."""
    _, store = proxy
    store.write("landing/model_1/ready.flag", b"")

    async def observe() -> str | None:
        listing = bucket_listing(store.uri.split("/")[2])
        first, second = (asyncio.create_task(one.observe()) for one in triggers(store, 2))
        while len(listing._asked) < 4:  # a flag and a folder each
            await asyncio.sleep(0)
        first.cancel()
        return (await asyncio.wait_for(second, 60)).flag

    assert asyncio.run(observe()) is not None


def test_a_trigger_that_may_list_its_own_folder_only_polls_alone(
    proxy: tuple[Proxy, Store],
) -> None:
    """Where what the flags have in common may not be listed, each is asked for by itself."""
    running, store = proxy
    store.write("landing/model_1/ready.flag", b"")
    running.faults.append(Fault("GET", "start-after", 403, times=None))

    async def observe() -> list[str | None]:
        seen = await asyncio.gather(*(trigger.observe() for trigger in triggers(store, 2)))
        return [observation.flag for observation in seen]

    first, second = asyncio.run(observe())
    assert first is None
    assert second is not None


def test_an_outage_is_the_answer_of_all_that_asked(proxy: tuple[Proxy, Store]) -> None:
    """When the shared listing fails, each trigger gets the error, and the next poll asks anew."""
    running, store = proxy
    running.faults.append(Fault("GET", "start-after", 503))
    bucket = store.uri.split("/")[2]

    async def ask() -> tuple[list[Any], list[Any]]:
        listing = bucket_listing(bucket)
        failed = await asyncio.gather(
            listing.objects("a/"), listing.objects("b/"), return_exceptions=True
        )
        return failed, await listing.objects("a/")

    failed, after = asyncio.run(ask())
    assert all(isinstance(answer, Exception) for answer in failed)
    assert after == []
