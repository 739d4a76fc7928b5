"""What the triggers share: clients of AWS, whether an object is there, and what an error says.

A trigger only notices, and the operator in the worker judges. The triggerer could import `include`,
but it knows no bundle: what lies beside this folder is the image's code, and a run is to be judged
by the code of its own.

Light at import: Airflow loads every plugin in each of its processes, tasks included.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit
from weakref import WeakKeyDictionary

STORE = "store"
"""The Airflow connection of the store."""
REFUSALS = frozenset({
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "NoSuchBucket",
    "NotAuthorized",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
})
"""Error codes of AWS that waiting does not change. S3 answers a HEAD with the bare number."""


def refusal(error: Exception) -> str | None:
    """Return what waiting does not change, missing keys included; None for any other error."""
    from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError

    if isinstance(error, NoCredentialsError | NoRegionError):
        return first_line(error)
    if isinstance(error, ClientError) and error.response["Error"]["Code"] in REFUSALS:
        return first_line(error)
    return None


def first_line(error: BaseException) -> str:
    """Return an error in one short line."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]


class AwsClients(AsyncExitStack):
    """Clients of AWS, opened when they are first needed and closed together."""

    def __init__(self, connection: str = STORE) -> None:
        """Use an Airflow connection; the store is asked through its own in any case."""
        super().__init__()
        self._connection = connection
        self._open: dict[str, Any] = {}

    async def batch(self) -> Any:
        """Return a client of AWS Batch."""
        from airflow.providers.amazon.aws.hooks.batch_client import BatchClientHook

        return await self._client(BatchClientHook(aws_conn_id=self._connection))

    async def logs(self) -> Any:
        """Return a client of CloudWatch's logs."""
        from airflow.providers.amazon.aws.hooks.logs import AwsLogsHook

        return await self._client(AwsLogsHook(aws_conn_id=self._connection))

    async def sqs(self) -> Any:
        """Return a client of SQS."""
        from airflow.providers.amazon.aws.hooks.sqs import SqsHook

        return await self._client(SqsHook(aws_conn_id=self._connection))

    async def store(self) -> tuple[Any, Any]:
        """Return hook and client of the store; the hook knows a missing object from an error."""
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        hook = S3Hook(aws_conn_id=STORE)
        return hook, await self._client(hook)

    async def _client(self, hook: Any) -> Any:
        if hook.client_type not in self._open:
            client = await self.enter_async_context(await hook.get_async_conn())
            self._open[hook.client_type] = client
        return self._open[hook.client_type]


class Connected(NamedTuple):
    """What triggers read of an Airflow connection by themselves."""

    conn_type: str
    extra: dict[str, Any]


REMEMBERED_SECONDS = 15.0
_Asked = dict[str, tuple[float, asyncio.Task[Connected | None]]]
_ASKED: WeakKeyDictionary[asyncio.AbstractEventLoop, _Asked] = WeakKeyDictionary()


async def find_connection(conn_id: str) -> Connected | None:
    """Return an Airflow connection, None when there is none, or when nobody answered.

    Asked once for all triggers that want it within a few seconds.
    """
    loop = asyncio.get_running_loop()
    asked = _ASKED.setdefault(loop, {})
    at, task = asked.get(conn_id, (0.0, None))
    if task is None or loop.time() - at > REMEMBERED_SECONDS:
        task = asyncio.create_task(_connection(conn_id))
        asked[conn_id] = (loop.time(), task)
    return await asyncio.shield(task)


async def _connection(conn_id: str) -> Connected | None:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connection = await Connection.async_get(conn_id)
    except AirflowNotFoundException:
        return None
    return Connected(connection.conn_type, await connection.aextra_dejson())


async def object_is_there(uri: str, clients: AwsClients) -> bool:
    """Return whether an object is there; at an address neither file:// nor s3:// none ever is."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return await asyncio.to_thread(Path(unquote(parts.path)).exists)
    if parts.scheme != "s3":
        return False
    hook, client = await clients.store()
    key = parts.path.lstrip("/")
    return await hook.get_head_object_async(client, key, parts.netloc) is not None


async def read_object(uri: str, clients: AwsClients) -> bytes | None:
    """Return what an object holds, None when it is not there; an address as `object_is_there`."""
    if not await object_is_there(uri, clients):
        return None
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return await asyncio.to_thread(Path(unquote(parts.path)).read_bytes)
    _, client = await clients.store()
    answer = await client.get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))
    async with answer["Body"] as body:
        content: bytes = await body.read()
    return content
