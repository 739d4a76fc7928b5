"""The SQS queue to which buckets report what was written: receiving, giving back, deleting.

A message is deleted only once what it caused is in Airflow's database. One that no model waits for
is given back: whoever else reads the queue gets it, or its dead-letter queue does.

Light at import: Airflow loads every plugin in each of its processes, tasks included.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from trigger_support import AwsClients, find_connection

QUEUE = "delivery_events"
"""The Airflow connection, of type `aws`, whose extra names the queue: `queue_url`."""
LONG_POLL_SECONDS = 20
MESSAGES_AT_ONCE = 10
HIDDEN_SECONDS = 60
"""For so long nobody else gets a message that was received: an event is stored within seconds."""
RETURN_SECONDS = 10
"""After so long a message that nobody waited for is offered again, to a trigger that starts now or
runs in another triggerer."""


@dataclass(frozen=True)
class Message:
    """A message of the queue."""

    receipt: str
    """What SQS wants to be shown to delete it."""
    written: tuple[str, ...] = field(default=())
    """Addresses of the objects that it says were written; none when it is not about that."""


async def queue_url() -> str | None:
    """Return the address of the queue; None when this Airflow has none, or did not say.

    Raises:
        ValueError: when the connection does not name it.
    """
    connection = await find_connection(QUEUE)
    if connection is None:
        return None
    url = connection.extra.get("queue_url")
    if connection.conn_type != "aws" or not isinstance(url, str) or not url:
        raise ValueError(
            f"the Airflow connection {QUEUE!r} names no queue: its type must be aws, and its extra "
            'must hold {"queue_url": "https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"}'
        )
    return url


class DeliveryQueue:
    """One queue, through a client that is open."""

    def __init__(self, url: str, client: Any) -> None:
        """Use an asynchronous client of SQS."""
        self.url = url
        self._client = client

    @classmethod
    async def connect(cls, url: str, clients: AwsClients) -> DeliveryQueue:
        """Return a queue, by the client of its Airflow connection."""
        return cls(url, await clients.sqs())

    async def receive(self) -> list[Message]:
        """Return the next messages, as soon as there are any; none after a while without."""
        answer = await self._client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=MESSAGES_AT_ONCE,
            WaitTimeSeconds=LONG_POLL_SECONDS,
            VisibilityTimeout=HIDDEN_SECONDS,
        )
        return [
            Message(item["ReceiptHandle"], tuple(written_objects(item["Body"])))
            for item in answer.get("Messages", ())
        ]

    async def delete(self, message: Message) -> None:
        """Delete a message: what it caused is stored."""
        await self._client.delete_message(QueueUrl=self.url, ReceiptHandle=message.receipt)

    async def give_back(self, message: Message) -> None:
        """Offer a message again, soon."""
        await self._client.change_message_visibility(
            QueueUrl=self.url, ReceiptHandle=message.receipt, VisibilityTimeout=RETURN_SECONDS
        )


def written_objects(body: str) -> Iterator[str]:
    """Yield the addresses of the objects that a message says were written.

    Args:
        body: of an S3 notification, or of an event of EventBridge; anything else names no object.
    """
    try:
        message = json.loads(body)
    except ValueError:
        return
    if not isinstance(message, dict):
        return
    if message.get("source") == "aws.s3" and message.get("detail-type") == "Object Created":
        yield from _address(message.get("detail"), is_quoted=False)
    records = message.get("Records")
    for record in records if isinstance(records, list) else ():
        if isinstance(record, dict) and str(record.get("eventName")).startswith("ObjectCreated:"):
            yield from _address(record.get("s3"), is_quoted=True)


def _address(part: Any, *, is_quoted: bool) -> Iterator[str]:
    """Yield the address of the object that a part of a message names."""
    if not isinstance(part, Mapping):
        return
    bucket, written = part.get("bucket"), part.get("object")
    name = bucket.get("name") if isinstance(bucket, Mapping) else None
    key = written.get("key") if isinstance(written, Mapping) else None
    if isinstance(name, str) and isinstance(key, str):
        yield f"s3://{name}/{unquote_plus(key) if is_quoted else key}"
