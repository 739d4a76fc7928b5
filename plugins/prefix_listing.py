"""One listing of a bucket for all triggers of a process that wait for something in it.

A question that comes while no listing runs starts one a moment later, for all that have come by
then. As triggers ask at common moments (`seconds_to_next_poll`), a thousand flags below one prefix
cost one request for each thousand objects, instead of two for each flag.

A listing goes from one wanted place to the next and skips what lies between, so it costs never more
than a request for each place and for each thousand objects in it, however old the bucket is.

Light at import: Airflow loads every plugin in each of its processes, tasks included.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from os.path import commonprefix
from typing import Any
from weakref import WeakKeyDictionary

from trigger_support import AwsClients

GATHERING_SECONDS = 0.05
"""How long a listing waits for others that ask at the same moment."""
LAST_CHARACTER = chr(0x10FFFF)

Listed = dict[str, Any]
"""An entry of `Contents` in the answer to ListObjectsV2."""
OpenClient = Callable[[], AbstractAsyncContextManager[Any]]
"""Opens a client whose `list_objects_v2` answers as that of S3."""


@asynccontextmanager
async def s3_client() -> AsyncIterator[Any]:
    """Open a client of S3, with the Airflow connection `store`."""
    async with AwsClients() as clients:
        _, client = await clients.store()
        yield client


class BucketListing:
    """What triggers ask of one bucket, answered by one listing at a time."""

    def __init__(self, bucket: str, open_client: OpenClient) -> None:
        """List a bucket, by a client that is opened for each listing."""
        self.bucket = bucket
        self._open_client = open_client
        self._asked: dict[str, list[asyncio.Future[list[Listed]]]] = defaultdict(list)
        self._task: asyncio.Task[None] | None = None

    async def objects(self, place: str) -> list[Listed]:
        """Return the object of a key, or all objects directly in a folder.

        Args:
            place: a key, or a folder's prefix, which ends in a slash.

        Raises:
            Exception: what the store answered.
        """
        answer: asyncio.Future[list[Listed]] = asyncio.get_running_loop().create_future()
        self._asked[place].append(answer)
        if self._task is None:
            self._task = asyncio.create_task(self._answer_all())
        return await answer

    async def _answer_all(self) -> None:
        """List until nobody asks any more; an error is the answer of all that asked."""
        try:
            while self._asked:
                await asyncio.sleep(GATHERING_SECONDS)
                asked, self._asked = self._asked, defaultdict(list)
                try:
                    async with self._open_client() as client:
                        listed = await list_places(client, self.bucket, asked)
                except Exception as error:  # noqa: BLE001 each trigger judges it
                    _answer(asked, error)
                else:
                    _answer(asked, listed)
        finally:
            self._task = None


def _answer(
    asked: dict[str, list[asyncio.Future[list[Listed]]]],
    listed: dict[str, list[Listed]] | Exception,
) -> None:
    for place, answers in asked.items():
        for answer in answers:
            if answer.done():  # its trigger was cancelled meanwhile
                continue
            if isinstance(listed, Exception):
                answer.set_exception(listed)
            else:
                answer.set_result(listed[place])


async def list_places(client: Any, bucket: str, places: Iterable[str]) -> dict[str, list[Listed]]:
    """Return the objects at some places of a bucket, with as few requests as possible.

    Args:
        client: of S3, asynchronous.
        bucket: its name.
        places: keys, and folders' prefixes, which end in a slash.
    """
    ordered = sorted(set(places))  # as S3 does it: by code points
    listed: dict[str, list[Listed]] = {place: [] for place in ordered}
    prefix = commonprefix(ordered)  # noqa: RUF071 of characters, as S3 has it
    prefix = prefix[: prefix.rfind("/") + 1]
    position = ""
    for place in ordered:
        while not _is_behind(position, place):
            position = max(position, _just_before(place))
            page = await client.list_objects_v2(Bucket=bucket, Prefix=prefix, StartAfter=position)
            contents = page.get("Contents", [])
            _sort_in(contents, listed)
            position = (
                contents[-1]["Key"] if page.get("IsTruncated") and contents else LAST_CHARACTER
            )
            position = _behind_inner_folder(position, place, ordered)
    return listed


def _sort_in(contents: Iterable[Listed], listed: dict[str, list[Listed]]) -> None:
    """Add each object to the places that wanted it."""
    for item in contents:
        key = item["Key"]
        folder = key[: key.rfind("/") + 1]
        # A key that ends in a slash is the mark of an empty folder, and no object in it.
        for place in {key, folder} & listed.keys() if key != folder else ():
            listed[place].append(item)


def _is_behind(position: str, place: str) -> bool:
    """Return whether all keys of a place come before a position or at it."""
    if place.endswith("/"):
        return position > place and not position.startswith(place)
    return position >= place


def _just_before(place: str) -> str:
    """Return a position before a place, with as little as possible between the two."""
    return f"{place[:-1]}{chr(ord(place[-1]) - 1)}"


def _behind_inner_folder(position: str, place: str, ordered: list[str]) -> str:
    """Return the end of the folder within a place that a position is in, if nobody asked for it."""
    if not place.endswith("/") or not position.startswith(place):
        return position
    name, slash, _ = position[len(place) :].partition("/")
    inner = f"{place}{name}/"
    following = ordered[bisect_left(ordered, inner) :][:1]
    if not slash or any(other.startswith(inner) for other in following):
        return position
    return f"{inner}{LAST_CHARACTER}"


Listings = dict[tuple[str, OpenClient], BucketListing]
_LISTINGS: WeakKeyDictionary[asyncio.AbstractEventLoop, Listings] = WeakKeyDictionary()


def bucket_listing(bucket: str, open_client: OpenClient = s3_client) -> BucketListing:
    """Return the listing of a bucket that everyone in this event loop shares."""
    listings = _LISTINGS.setdefault(asyncio.get_running_loop(), {})
    return listings.setdefault((bucket, open_client), BucketListing(bucket, open_client))


def seconds_to_next_poll(poke_seconds: float) -> float:
    """Return how long to wait, so that all that poll as often do so at the same moments."""
    return poke_seconds - time.monotonic() % poke_seconds
