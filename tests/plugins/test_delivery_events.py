"""Tests of the deliveries' events: none is lost, none is another's, one poller for all models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import delivery_events
import delivery_queue
import delivery_stream
import pytest
from delivery_events import DeliveryTrigger, addresses_now, pattern_of, waking

from include.retraining.store.object_store import Store
from tests.conftest import S3_OPTIONS
from tests.support.event_triggers import AssetStates, Triggerer, triggerer


def connect(monkeypatch: pytest.MonkeyPatch, name: str, endpoint: str, **extra: str) -> None:
    """Set an Airflow connection to the stand-in for AWS."""
    connection = {
        "conn_type": "aws",
        "login": S3_OPTIONS["AWS_ACCESS_KEY_ID"],
        "password": S3_OPTIONS["AWS_SECRET_ACCESS_KEY"],
        "extra": {"endpoint_url": endpoint, "region_name": "us-east-1", **extra},
    }
    monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(connection))


class Queue:
    """A queue that a bucket reports to, with a dead-letter queue behind it."""

    def __init__(self, endpoint: str, bucket: str) -> None:
        settings = {
            "endpoint_url": endpoint,
            "region_name": "us-east-1",
            "aws_access_key_id": S3_OPTIONS["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": S3_OPTIONS["AWS_SECRET_ACCESS_KEY"],
        }
        self.sqs = boto3.client("sqs", **settings)
        self.dead, dead_arn = self._make(f"{bucket}-dead")
        policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 3})
        self.url, arn = self._make(bucket, RedrivePolicy=policy)
        boto3.client("s3", **settings).put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration={
                "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]
            },
        )
        self.sqs.purge_queue(QueueUrl=self.url)  # S3 sends a test event first

    def _make(self, name: str, **attributes: str) -> tuple[str, str]:
        url = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        told = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, told["Attributes"]["QueueArn"]

    def left(self, url: str | None = None) -> int:
        """How many messages there are, those that someone works on included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=names)
        return sum(int(told["Attributes"][name]) for name in names)


@pytest.fixture
def bucket(s3_bucket: str, s3_options: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Store:
    """A bucket that the Airflow connection `store` opens."""
    uri = f"s3://{s3_bucket}/prefix"
    connect(monkeypatch, "STORE", s3_options["AWS_ENDPOINT_URL"], uri=uri)
    return Store(uri, s3_options)


@pytest.fixture
def queue(bucket: Store, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """The bucket's queue, which the Airflow connection `delivery_events` names."""
    made = Queue(s3_endpoint, bucket.uri.split("/")[2])
    connect(monkeypatch, "DELIVERY_EVENTS", s3_endpoint, queue_url=made.url)
    return made


def of(model: str, *, flag: str | None = None, poke_seconds: float = 0.1) -> DeliveryTrigger:
    """The trigger of a model's flag; a flag of its own where none is given."""
    return DeliveryTrigger(
        asset=f"{model}_delivery",
        flag=flag or f"landing/{model}/ready.flag",
        timezone="UTC",
        poke_seconds=poke_seconds,
    )


def run(
    story: Callable[[Triggerer], Coroutine[Any, Any, None]], states: AssetStates | None = None
) -> None:
    """Tell a story with a triggerer."""

    async def tell() -> None:
        async with triggerer(states) as running:
            await story(running)

    asyncio.run(tell())


def test_an_object_that_is_written_fires_and_its_message_goes_once_the_event_is_stored(
    bucket: Store, queue: Queue
) -> None:
    """While Airflow's database takes nothing, the message stays; then it is deleted."""

    async def story(airflow: Triggerer) -> None:
        airflow.is_storing = False
        airflow.start(of("loans"))
        airflow.start(of("churn"))
        bucket.write("landing/loans/ready.flag", b"")
        await airflow.wait_for(lambda: airflow.fired)
        assert airflow.fired == [
            ("loans_delivery", {"flag": f"{bucket.uri}/landing/loans/ready.flag"})
        ]
        assert queue.left() == 1
        airflow.is_storing = True
        await airflow.wait_for(lambda: queue.left() == 0)

    run(story)


@pytest.mark.fault("A16")
def test_what_was_not_stored_comes_again(
    bucket: Store, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A triggerer that is killed before the event is in the database loses nothing."""
    monkeypatch.setattr(delivery_queue, "HIDDEN_SECONDS", 1)

    async def killed(airflow: Triggerer) -> None:
        airflow.is_storing = False
        airflow.start(of("loans"))
        bucket.write("landing/loans/ready.flag", b"")
        await airflow.wait_for(lambda: airflow.fired)

    async def next_one(airflow: Triggerer) -> None:
        airflow.start(of("loans"))
        await airflow.wait_for(lambda: airflow.fired and queue.left() == 0)

    run(killed)
    assert queue.left() == 1
    run(next_one)


@pytest.mark.fault("A18")
def test_what_is_not_ours_ends_in_the_dead_letter_queue(
    bucket: Store, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object nobody waits for, and a message of another kind, are never deleted here."""
    monkeypatch.setattr(delivery_queue, "RETURN_SECONDS", 0)

    async def story(airflow: Triggerer) -> None:
        airflow.start(of("loans"))
        bucket.write("landing/loans/data.csv", b"x")
        queue.sqs.send_message(QueueUrl=queue.url, MessageBody="hello")
        bucket.write("landing/loans/ready.flag", b"")
        await airflow.wait_for(lambda: airflow.fired and queue.left(queue.dead) == 2)
        await airflow.wait_for(lambda: queue.left() == 0)
        assert len(airflow.fired) == 1

    run(story)


def test_a_hundred_models_are_one_poller(bucket: Store, queue: Queue) -> None:
    """Each gets its own events, and one task asks the queue for all."""
    names = [f"model_{number}" for number in range(100)]

    async def story(airflow: Triggerer) -> None:
        for name in names:
            airflow.start(of(name))
        for name in names[::10]:
            bucket.write(f"landing/{name}/ready.flag", b"")
        await airflow.wait_for(lambda: len(airflow.fired) == 10 and queue.left() == 0)
        assert airflow.polls == 1
        assert {asset for asset, _ in airflow.fired} == {f"{name}_delivery" for name in names[::10]}

    run(story)


def test_a_message_is_confirmed_through_an_error_of_the_queue(
    bucket: Store, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was received before the error is deleted all the same, and does not come again."""
    receive, steps = delivery_queue.DeliveryQueue.receive, list[str]()

    async def failing_once(self: delivery_queue.DeliveryQueue) -> Any:
        if steps == ["received"]:
            steps.append("failed")
            raise OSError("connection reset")
        messages = await receive(self)
        if messages and not steps:
            steps.append("received")
        return messages

    monkeypatch.setattr(delivery_queue.DeliveryQueue, "receive", failing_once)
    monkeypatch.setattr(delivery_stream, "RETRY_SECONDS", 0.05)

    async def story(airflow: Triggerer) -> None:
        airflow.is_storing = False
        airflow.start(of("loans"))
        bucket.write("landing/loans/ready.flag", b"")
        await airflow.wait_for(lambda: airflow.fired and "failed" in steps)
        airflow.is_storing = True
        await airflow.wait_for(lambda: queue.left() == 0, seconds=20)
        assert len(airflow.fired) == 1

    run(story)


def test_a_queue_that_refuses_ends_no_stream(
    bucket: Store, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is tried again, and what others notice goes on."""
    connect(monkeypatch, "DELIVERY_EVENTS", s3_endpoint, queue_url=f"{s3_endpoint}/1/no-such")

    async def story(airflow: Triggerer) -> None:
        airflow.start(of("loans", flag=f"file://{tmp_path}/f", poke_seconds=1))
        (tmp_path / "f").write_text("")
        await airflow.wait_for(lambda: airflow.fired)

    run(story)


def test_without_a_queue_a_bucket_is_listed(bucket: Store) -> None:
    """A flag on S3 is noticed all the same, and reported once."""
    states = AssetStates()

    async def story(airflow: Triggerer) -> None:
        airflow.start(of("loans"))
        bucket.write("landing/loans/ready.flag", b"monday")
        await airflow.wait_for(lambda: states)
        bucket.write("landing/loans/ready.flag", b"tuesday")
        await airflow.wait_for(lambda: len(airflow.fired) == 2)

    run(story, states)


@pytest.fixture
def landing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on disk that the Airflow connection `store` names."""
    connection = {"conn_type": "generic", "extra": {"uri": f"file://{tmp_path}"}}
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))
    folder = tmp_path / "landing" / "loans"
    folder.mkdir(parents=True)
    return folder


def test_a_flag_on_disk_fires_once_however_often_the_triggerer_starts(landing: Path) -> None:
    """What was reported is kept with the asset; a flag that is written again is news."""
    states = AssetStates()

    async def lands(airflow: Triggerer) -> None:
        airflow.start(of("loans", poke_seconds=30))
        (landing / "ready.flag").write_text("monday")
        await airflow.wait_for(lambda: airflow.fired and states)

    async def restarts(airflow: Triggerer) -> None:
        airflow.start(of("loans", poke_seconds=0.05))
        (landing / "data.csv").write_text("x")
        await asyncio.sleep(0.3)
        assert airflow.fired == []
        (landing / "ready.flag").write_text("on tuesday")
        await airflow.wait_for(lambda: airflow.fired)

    run(lands, states)
    run(restarts, states)


def test_a_flag_on_disk_that_was_not_stored_fires_again(landing: Path) -> None:
    """It counts as reported only once Airflow's database has the event."""
    states = AssetStates()

    async def killed(airflow: Triggerer) -> None:
        airflow.is_storing = False
        airflow.start(of("loans"))
        (landing / "ready.flag").write_text("monday")
        await airflow.wait_for(lambda: airflow.fired)
        assert states == {}

    async def next_one(airflow: Triggerer) -> None:
        airflow.start(of("loans"))
        await airflow.wait_for(lambda: airflow.fired and states)

    run(killed, states)
    run(next_one, states)


def test_two_models_on_one_flag_hear_of_it_once_each(landing: Path) -> None:
    """Each notices it for itself, and a model that comes later hears of it as well."""
    flag, states = "landing/loans/ready.flag", AssetStates()

    async def story(airflow: Triggerer) -> None:
        airflow.start(of("loans", flag=flag))
        airflow.start(of("arrears", flag=flag))
        (landing / "ready.flag").write_text("monday")
        await airflow.wait_for(lambda: len(states) == 2)
        airflow.start(of("late", flag=flag))
        await airflow.wait_for(lambda: len(states) == 3)
        names = sorted(asset for asset, _ in airflow.fired)
        assert names == ["arrears_delivery", "late_delivery", "loans_delivery"]

    run(story, states)


def test_an_error_while_watching_leaves_no_trigger_deaf(
    landing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without another inotify watch, for example: it starts again."""
    tries = iter([OSError("inotify watch limit reached")])

    def waking_at_last(address: str) -> Any:
        for error in tries:
            raise error
        return waking(address)

    monkeypatch.setattr(delivery_events, "waking", waking_at_last)
    monkeypatch.setattr(delivery_events, "RETRY_SECONDS", 0.05)

    async def story(airflow: Triggerer) -> None:
        airflow.start(of("loans"))
        (landing / "ready.flag").write_text("monday")
        await airflow.wait_for(lambda: airflow.fired, seconds=10)

    run(story)


def test_the_event_of_a_dated_flag_names_its_day(landing: Path) -> None:
    """The run works on the day of the flag, also when that landed after midnight."""
    today, yesterday = addresses_now("{date}", "Pacific/Auckland")
    assert today == datetime.now(UTC).astimezone(ZoneInfo("Pacific/Auckland")).date().isoformat()
    trigger = DeliveryTrigger(
        asset="loans_delivery",
        flag="landing/{date}/ready.flag",
        timezone="Pacific/Auckland",
        poke_seconds=0.05,
    )

    async def story(airflow: Triggerer) -> None:
        airflow.start(trigger)
        folder = landing.parent / yesterday
        folder.mkdir()
        (folder / "ready.flag").write_text("")
        await airflow.wait_for(lambda: airflow.fired)
        ((_, payload),) = airflow.fired
        assert payload["date"] == yesterday
        assert payload["flag"].endswith(f"/landing/{yesterday}/ready.flag")

    run(story)


@pytest.mark.parametrize(
    ("template", "address", "date"),
    [
        ("s3://b/in.d/ready.flag", "s3://b/in.d/ready.flag", None),
        ("s3://b/in.d/ready.flag", "s3://b/inxd/ready.flag", False),
        ("s3://b/in/ready.flag", "s3://b/in/ready.flag.tmp", False),
        ("s3://b/{date}/_SUCCESS", "s3://b/2026-11-24/_SUCCESS", "2026-11-24"),
        ("s3://b/{date}/_SUCCESS", "s3://b/today/_SUCCESS", False),
        ("s3://b/{date}/{date}.json", "s3://b/2026-11-24/2026-11-24.json", "2026-11-24"),
        ("s3://b/{date}/{date}.json", "s3://b/2026-11-24/2026-11-25.json", False),
    ],
)
def test_only_the_flag_itself_matches(template: str, address: str, date: Any) -> None:
    """Nothing in an address is a pattern but `{date}`, which is the same day everywhere."""
    match = pattern_of(template).fullmatch(address)
    if date is False:
        assert match is None
    else:
        assert match is not None
        assert match.groupdict().get("date") == date


def test_a_trigger_survives_a_move_to_another_triggerer() -> None:
    """Class path and arguments make an equal trigger, and are plain JSON."""
    path, fields = of("loans").serialize()
    assert path == "delivery_events.DeliveryTrigger"
    assert DeliveryTrigger(**json.loads(json.dumps(fields))).serialize() == (path, fields)
