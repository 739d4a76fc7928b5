"""The files of deploy/events, applied to AWS's stand-in on loopback as docs/events.md says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from delivery_queue import written_objects

from tests.support.event_story import client_settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
QUEUE = "deliveries"
REGION, ACCOUNT = "us-east-1", "123456789012"


def filled(file: str, bucket: str) -> str:
    """A file with the names of this test in it."""
    text = (DEPLOY / file).read_text()
    names = {"BUCKET": bucket, "PREFIX": "prod", "REGION": REGION, "ACCOUNT": ACCOUNT}
    for name, value in {**names, "QUEUE": f"{bucket}-{QUEUE}"}.items():
        text = text.replace(name, value)
    return text


@pytest.fixture
def sqs(s3_endpoint: str) -> Any:
    """A client of SQS."""
    return boto3.client("sqs", **client_settings(s3_endpoint))


@pytest.fixture
def queue_url(s3_bucket: str, sqs: Any) -> str:
    """The queue, with its policy and its dead-letter queue."""
    sqs.create_queue(QueueName=f"{s3_bucket}-{QUEUE}-dead")
    url: str = sqs.create_queue(QueueName=f"{s3_bucket}-{QUEUE}")["QueueUrl"]
    attributes = {
        "Policy": filled("events/queue-policy.json", s3_bucket),
        "RedrivePolicy": filled("events/redrive.json", s3_bucket),
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    return url


def by_notification(bucket: str, endpoint: str) -> None:
    """Let the bucket report by itself."""
    configuration = json.loads(filled("events/notification.json", bucket))
    boto3.client("s3", **client_settings(endpoint)).put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=configuration
    )


def by_event_bridge(bucket: str, endpoint: str) -> None:
    """Let the bucket report through EventBridge."""
    boto3.client("s3", **client_settings(endpoint)).put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    events = boto3.client("events", **client_settings(endpoint))
    events.put_rule(Name=QUEUE, EventPattern=filled("events/rule.json", bucket))
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{bucket}-{QUEUE}"
    events.put_targets(Rule=QUEUE, Targets=[{"Id": "queue", "Arn": arn}])


@pytest.mark.parametrize("report", [by_notification, by_event_bridge], ids=lambda one: one.__name__)
def test_a_flag_is_reported_and_data_are_not(
    report: Callable[[str, str], None], s3_bucket: str, s3_endpoint: str, sqs: Any, queue_url: str
) -> None:
    """Both ways send a message that names the flag as one that was written."""
    report(s3_bucket, s3_endpoint)
    sqs.purge_queue(QueueUrl=queue_url)  # S3 sends a test event first
    s3 = boto3.client("s3", **client_settings(s3_endpoint))
    for key in ("prod/landing/loans/data.csv", "prod/landing/loans/ready.flag"):
        s3.put_object(Bucket=s3_bucket, Key=key, Body=b"")
    written: list[str] = []
    end = time.monotonic() + 30
    while not written and time.monotonic() < end:
        answer = sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        for message in answer.get("Messages", ()):
            written += written_objects(message["Body"])
    assert written == [f"s3://{s3_bucket}/prod/landing/loans/ready.flag"]


def test_nobody_but_aws_itself_may_report() -> None:
    """Each sender is a service, and held to our bucket or our rule."""
    policy = json.loads((DEPLOY / "events" / "queue-policy.json").read_text())
    for statement in policy["Statement"]:
        assert list(statement["Principal"]) == ["Service"]
        assert statement["Action"] == ["sqs:SendMessage"]
        assert "aws:SourceArn" in statement["Condition"]["ArnEquals"]


def test_the_listener_may_do_what_the_poller_does_and_no_more() -> None:
    """Each operation of the code is allowed, and nothing else."""
    policy = json.loads((DEPLOY / "iam" / "listener.json").read_text())
    allowed = {action for one in policy["Statement"] for action in one["Action"]}
    code = (DEPLOY.parent / "plugins" / "delivery_queue.py").read_text()
    calls = {"receive_message", "change_message_visibility", "delete_message"}
    assert all(f"self._client.{call}(" in code for call in calls)
    assert code.count("self._client.") == len(calls)
    assert allowed == {f"sqs:{''.join(part.title() for part in call.split('_'))}" for call in calls}
