"""Tests of the queue's messages: what they say was written, in the formats that S3 sends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from delivery_queue import written_objects


def notification(name: str, *keys: str) -> str:
    """A message of S3's own notifications."""
    records = [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventName": name,
            "s3": {"bucket": {"name": "b"}, "object": {"key": key, "size": 0, "eTag": "d41d8"}},
        }
        for key in keys
    ]
    return json.dumps({"Records": records})


def event(kind: str, key: str) -> str:
    """A message of EventBridge."""
    detail = {"version": "0", "bucket": {"name": "b"}, "object": {"key": key, "size": 0}}
    return json.dumps({"source": "aws.s3", "detail-type": kind, "detail": detail})


@pytest.mark.parametrize(
    ("body", "written"),
    [
        (notification("ObjectCreated:Put", "in/ready.flag"), ["s3://b/in/ready.flag"]),
        (notification("ObjectCreated:Copy", "a+b/%C3%A4%2B.flag"), ["s3://b/a b/ä+.flag"]),
        (notification("ObjectCreated:Put", "x", "y"), ["s3://b/x", "s3://b/y"]),
        (event("Object Created", "in/a b+%20.flag"), ["s3://b/in/a b+%20.flag"]),
    ],
)
def test_what_was_written(body: str, written: list[str]) -> None:
    """A notification quotes a key as a web form does; EventBridge gives it as it is."""
    assert list(written_objects(body)) == written


FOREIGN: list[Any] = [
    "",
    "not JSON",
    "[1]",
    "null",
    '{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}',
    notification("ObjectRemoved:Delete", "in/ready.flag"),
    event("Object Deleted", "in/ready.flag"),
    '{"Records": 7}',
    '{"Records": [7, {"eventName": "ObjectCreated:Put", "s3": 7}]}',
    '{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": 1}}}]}',
    '{"source": "aws.s3", "detail-type": "Object Created", "detail": []}',
    '{"source": "aws.ec2", "detail-type": "Object Created", "detail": {"bucket": {"name": "b"}}}',
]


@pytest.mark.parametrize("body", FOREIGN)
def test_any_other_message_names_no_object(body: str) -> None:
    """A test event, a deletion, or what someone else sent is no delivery and no error."""
    assert list(written_objects(body)) == []
