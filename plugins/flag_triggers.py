"""Triggers that watch a flag and its delivery until something has changed.

They only notice changes. Whether a delivery is complete is judged by the sensor in the worker, with
the code of its bundle; a trigger fires when the flag is there, is not the one that was decided on
before, and flag or folder differ from what the sensor found incomplete.

Light at import: Airflow loads every plugin in each of its processes, tasks included.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from airflow.triggers.base import BaseTrigger, TriggerEvent
from flag_watcher import WATCHER
from obstore_listing import container_listing, denial
from prefix_listing import Listed, bucket_listing, seconds_to_next_poll
from trigger_support import AwsClients, first_line, refusal

QUIET_SECONDS = 60.0


class Observation(NamedTuple):
    """What one check observed."""

    flag: str | None
    """Identity of the flag as it is now, None when there is none."""
    digest: str
    """Changes whenever the flag or a file of the delivery does."""


class Refused(Exception):
    """The store answered, and the answer will not change by waiting."""


def observation(flag: str | None, files: Iterable[tuple[str, int, str]]) -> Observation:
    """Return an observation.

    Args:
        flag: the flag's identity, None when there is none.
        files: name, size and version (mtime or ETag) of each file in the delivery's folder.
    """
    content = json.dumps([flag, sorted(files)])
    return Observation(flag, hashlib.sha256(content.encode()).hexdigest())


def observe_folder(flag: str, folder: str) -> Observation:
    """Observe a flag and its delivery on disk; missing files are no error."""
    try:
        status = Path(flag).stat()
        identity = f"{status.st_mtime_ns}-{status.st_size}"
    except FileNotFoundError:
        identity = None
    files = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                files.append((entry.name, status.st_size, str(status.st_mtime_ns)))
    except (FileNotFoundError, NotADirectoryError):
        pass
    return observation(identity, files)


def object_identity(etag: str | None, last_modified: datetime) -> str:
    """Return what changes whenever an object in a bucket is written again.

    An ETag alone is equal for every empty flag; a HEAD knows the time in whole seconds only.
    """
    return f"{(etag or '').strip(chr(34))}-{int(last_modified.timestamp())}"


class FlagTrigger(BaseTrigger):
    """Fires when something has changed, or at the deadline.

    Its event is an empty mapping, or `{"refused": sentence}` when waiting is pointless.
    """

    def __init__(
        self,
        *,
        flag: str,
        folder: str,
        ignored_flag: str | None,
        seen: str | None,
        reason: str,
        poke_seconds: float,
        deadline: float,
    ) -> None:
        """Describe what to watch.

        Args:
            flag: address of the flag.
            folder: address of the delivery's folder.
            ignored_flag: identity of the flag that was decided on before, if it is still there.
            seen: digest of what the sensor found incomplete; None when it could not check.
            reason: the sensor's sentence on what is missing, for the log.
            poke_seconds: seconds between two checks.
            deadline: Unix time at which to give up.
        """
        super().__init__()
        self.flag = flag
        self.folder = folder
        self.ignored_flag = ignored_flag
        self.seen = seen
        self.reason = reason
        self.poke_seconds = poke_seconds
        self.deadline = deadline
        self._said: tuple[str, float] = ("", 0.0)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what another triggerer needs to go on."""
        fields = {
            "flag": self.flag,
            "folder": self.folder,
            "ignored_flag": self.ignored_flag,
            "seen": self.seen,
            "reason": self.reason,
            "poke_seconds": self.poke_seconds,
            "deadline": self.deadline,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", fields

    @abstractmethod
    async def observe(self) -> Observation:
        """Observe flag and folder once.

        Raises:
            Refused: when waiting is pointless.
        """

    def seconds_to_next_poll(self) -> float:
        """Return how long to pause when nothing wakes it."""
        return self.poke_seconds

    def waking(self) -> AbstractContextManager[asyncio.Event]:
        """Return what yields an event that ends a pause between two polls; here none ever does."""
        return nullcontext(asyncio.Event())

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until the deadline, and check at once when something wakes it."""
        with self.waking() as woken:
            yield TriggerEvent(await self._payload(woken))

    async def _payload(self, woken: asyncio.Event) -> dict[str, str]:
        while (left := self.deadline - time.time()) > 0:
            woken.clear()
            try:
                seen = await self.observe()
            except Refused as refused:
                return {"refused": str(refused)}
            except Exception as error:  # noqa: BLE001 an outage must not end the wait
                self._log_line(f"cannot read {self.flag} now, trying again: {first_line(error)}")
            else:
                if self._is_news(seen):
                    self.log.info("%s or its delivery changed: checking it", self.flag)
                    return {}
                self._log_line(f"waiting: {self.reason}")
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), min(self.seconds_to_next_poll(), left))
        return {}

    def _is_news(self, now: Observation) -> bool:
        return now.flag is not None and now.flag != self.ignored_flag and now.digest != self.seen

    def _log_line(self, text: str) -> None:
        """Log a sentence when it is new, and otherwise once a minute."""
        said, at = self._said
        if text != said or time.monotonic() - at >= QUIET_SECONDS:
            self.log.info("%s (%.0f s left)", text, max(0.0, self.deadline - time.time()))
            self._said = (text, time.monotonic())


class FileFlagTrigger(FlagTrigger):
    """Watches a flag on a disk that the triggerer sees; addresses are paths."""

    def waking(self) -> AbstractContextManager[asyncio.Event]:
        """Be woken by the flag's own folder; where that reports nothing, the poll remains."""
        return WATCHER.waking(self.flag)

    async def observe(self) -> Observation:
        """Observe the disk, in a thread: a network disk may be slow."""
        return await asyncio.to_thread(observe_folder, self.flag, self.folder)


class BucketFlagTrigger(FlagTrigger):
    """Watches a flag in a bucket, through the Airflow connection `store`."""

    def seconds_to_next_poll(self) -> float:
        """Return how long to pause: all that poll as often do so at the same moments."""
        return seconds_to_next_poll(self.poke_seconds)

    async def observe(self) -> Observation:
        """Observe the bucket, by one listing for all triggers that ask at this moment."""
        try:
            flags, files = await asyncio.gather(
                objects_at(self.flag), objects_at(f"{self.folder.rstrip('/')}/")
            )
        except Exception as error:  # noqa: BLE001 what cannot be mended is raised again
            flags, files = await self._after(error)
        flag = object_identity(flags[0]["ETag"], flags[0]["LastModified"]) if flags else None
        return observation(flag, [_file(item) for item in files])

    @abstractmethod
    async def _after(self, error: Exception) -> tuple[list[Listed], list[Listed]]:
        """Return flag and files although they could not be listed with all others.

        Raises:
            Refused: when waiting is pointless.
        """


class ObstoreFlagTrigger(BucketFlagTrigger):
    """Watches a flag on Google Cloud or Azure; addresses are gs:// or az:// ones."""

    async def _after(self, error: Exception) -> tuple[list[Listed], list[Listed]]:
        if (reason := denial(error)) is not None:
            raise Refused(f"{self.flag}: {reason}") from error
        raise error


class S3FlagTrigger(BucketFlagTrigger):
    """Watches a flag on S3; addresses are s3:// ones."""

    async def _after(self, error: Exception) -> tuple[list[Listed], list[Listed]]:
        # What all flags have in common may be closed to us while this flag is not.
        if refusal(error) is None:
            raise error
        return await self._listed_alone()

    async def _listed_alone(self) -> tuple[list[Listed], list[Listed]]:
        """Return flag and files by requests for this delivery alone."""
        bucket, key = _split(self.flag)
        folder_bucket, prefix = _split(self.folder)
        try:
            async with AwsClients() as clients:
                hook, client = await clients.store()
                head = await hook.get_head_object_async(client, key, bucket)
                pages = client.get_paginator("list_objects_v2").paginate(
                    Bucket=folder_bucket, Prefix=f"{prefix.rstrip('/')}/", Delimiter="/"
                )
                files = [item async for page in pages for item in page.get("Contents", [])]
        except Exception as error:
            if (reason := refusal(error)) is not None:
                raise Refused(f"{self.flag}: {reason}") from error
            raise
        return [head] if head else [], [item for item in files if not item["Key"].endswith("/")]


async def objects_at(address: str) -> list[Listed]:
    """Return the object at an address in a bucket, or those in a folder, which ends in a slash."""
    container, place = _split(address)
    scheme = address.partition("://")[0]
    if scheme == "s3":
        return await bucket_listing(container).objects(place)
    return await container_listing(f"{scheme}://{container}").objects(place)


def _file(item: Listed) -> tuple[str, int, str]:
    """Return name, size and version of an object that was listed."""
    version = object_identity(item["ETag"], item["LastModified"])
    return item["Key"].rpartition("/")[2], item["Size"], version


def _split(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")
