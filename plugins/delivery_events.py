"""The event trigger of a model's deliveries: its asset `NAME_delivery` changes when a flag lands.

An event only wakes a run; whether there is something to train is judged there. A flag on a disk is
noticed by the watcher of folders, one in a bucket by the shared listing, and one on S3 by the
queue alone where there is one.

Light at import: Airflow loads every plugin in each of its processes, tasks included, and a DAG file
imports this at every parse.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Hashable
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from airflow.sdk import Asset
from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from airflow.triggers.shared_stream import SharedStreamProducer
from delivery_queue import queue_url
from delivery_stream import Landed, LandedFlags, noticed_flags
from flag_triggers import object_identity, objects_at
from flag_watcher import WATCHER
from prefix_listing import seconds_to_next_poll
from trigger_support import STORE, find_connection, first_line

if TYPE_CHECKING:
    from airflow.sdk.execution_time.context import AssetStateStoreAccessor

STREAM = ("deliveries",)
"""What all triggers share: one stream, and with it one poller of the queue."""
REPORTED = "reported_flags"
"""Under this name Airflow keeps, with the asset, the identities of the flags it was told of."""
DATE = "{date}"
QUIET_SECONDS = 60.0
RETRY_SECONDS = 5.0
QUEUE_CHECK_SECONDS = 60.0


class DeliveryTrigger(BaseEventTrigger):
    """Fires when a model's flag lands: with its address, and its day where the address has one."""

    def __init__(self, *, asset: str, flag: str, timezone: str, poke_seconds: float) -> None:
        """Describe what to watch.

        Args:
            asset: the name of the one asset that this updates. Airflow runs triggers with equal
                arguments as one; by this, each asset has its own.
            flag: as in the model's YAML: an address, or a path relative to the store; it may hold
                `{date}`.
            timezone: of that date.
            poke_seconds: seconds between two checks where nothing reports a change.
        """
        super().__init__()
        self.asset = asset
        self.flag = flag
        self.timezone = timezone
        self.poke_seconds = poke_seconds
        self._has_had_queue = False
        self._under_way: dict[str, str] = {}
        self._reported: dict[str, str] = {}
        self._said: tuple[str, float] = ("", 0.0)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what a triggerer needs."""
        fields = {
            "asset": self.asset,
            "flag": self.flag,
            "timezone": self.timezone,
            "poke_seconds": self.poke_seconds,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", fields

    def shared_stream_key(self) -> Hashable:
        """Share one stream with the triggers of all models."""
        return STREAM

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:  # noqa: ARG003 the same for all
        """Return the stream's source."""
        return LandedFlags()

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Refuse: without the shared stream, nothing would be confirmed."""
        raise NotImplementedError("a delivery is watched through Airflow's shared stream alone")
        yield  # pragma: no cover - what makes it an iterator

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Landed]
    ) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each report of this model's flag."""
        template = await self._template()
        pattern = pattern_of(template)
        watching = asyncio.create_task(self._watch(template))
        try:
            async for landed in shared_stream:
                if landed.asset not in {None, self.asset}:
                    continue
                for address in landed.addresses:
                    if (match := pattern.fullmatch(address)) is not None:
                        landed.claimed.add(address)
                        yield TriggerEvent({"flag": address, **match.groupdict()})
        finally:
            watching.cancel()

    async def _template(self) -> str:
        """Return the flag's whole address; wait while the store's connection cannot be read."""
        while True:
            try:
                return await whole_address(self.flag)
            except Exception as error:  # noqa: BLE001 it may be there in a moment
                self._log_line(f"cannot watch for {self.flag}: {first_line(error)}")
                await asyncio.sleep(RETRY_SECONDS)

    # ---- what no queue reports ----

    async def _watch(self, template: str) -> None:
        """Notice the flag where no queue reports it; an error never ends that."""
        while True:
            try:
                self._reported = await self._read_reported()
                await self._watch_by_queue_or_places(template)
            except Exception as error:  # noqa: BLE001 nobody else would hear of it
                self._log_line(f"watching for {self.flag} starts again: {first_line(error)}")
                await asyncio.sleep(RETRY_SECONDS)

    async def _watch_by_queue_or_places(self, template: str) -> NoReturn:
        while True:
            if template.startswith("s3://") and await self._has_queue():
                await asyncio.sleep(QUEUE_CHECK_SECONDS)
                continue
            await self._watch_places(template, addresses_now(template, self.timezone))

    async def _watch_places(self, template: str, addresses: tuple[str, ...]) -> None:
        """Notice the flag where it may land today, until the day or the way to notice changes."""
        is_on_disk = template.startswith("file://")
        end = time.monotonic() + (float("inf") if is_on_disk else QUEUE_CHECK_SECONDS)
        with waking(addresses[0]) as woken:
            while time.monotonic() < end and addresses == addresses_now(template, self.timezone):
                woken.clear()
                await self._notice(template, addresses)
                poke = self.poke_seconds
                with suppress(TimeoutError):
                    await asyncio.wait_for(
                        woken.wait(), poke if is_on_disk else seconds_to_next_poll(poke)
                    )

    async def _has_queue(self) -> bool:
        """Return whether a queue reports; one that was there stays, whatever Airflow answers."""
        if not self._has_had_queue:
            try:
                self._has_had_queue = await queue_url() is not None
            except Exception:  # noqa: BLE001 one that is named wrongly: its stream says so
                self._has_had_queue = True
        return self._has_had_queue

    async def _notice(self, template: str, addresses: tuple[str, ...]) -> None:
        """Report each flag that is there and was not reported."""
        for address in addresses:
            try:
                identity = await flag_identity(address)
            except Exception as error:  # noqa: BLE001 an outage must not end the watching
                self._log_line(f"cannot look for {address} now: {first_line(error)}")
                continue
            known = self._under_way.get(address, self._reported.get(address))
            if identity is not None and identity != known:
                self._under_way[address] = identity
                await noticed_flags().put(self._report(template, address, identity))

    def _report(self, template: str, address: str, identity: str) -> Landed:
        async def confirm() -> None:
            if self._under_way.get(address) == identity:
                del self._under_way[address]
            still = addresses_now(template, self.timezone)
            kept = {one: seen for one, seen in self._reported.items() if one in still}
            self._reported = {**kept, address: identity}
            if (states := self._states()) is not None:
                await states.aset(REPORTED, dict(self._reported))

        async def give_back() -> None:
            self._under_way.pop(address, None)

        return Landed((address,), confirm, give_back, asset=self.asset)

    async def _read_reported(self) -> dict[str, str]:
        """Return what Airflow was told of; wait while it does not say."""
        while (states := self._states()) is not None:
            try:
                stored = await states.aget(REPORTED, {})
            except Exception as error:  # noqa: BLE001 it may answer in a moment
                self._log_line(f"cannot watch for {self.flag}: {first_line(error)}")
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return dict(stored) if isinstance(stored, dict) else {}
        return {}

    def _states(self) -> AssetStateStoreAccessor | None:
        """Return what Airflow keeps with the asset; None while Airflow knows no such asset."""
        if self.asset_state_store is None:
            return None
        return self.asset_state_store[Asset(self.asset)]

    def _log_line(self, text: str) -> None:
        """Log a sentence when it is new, and otherwise once a minute."""
        said, at = self._said
        if text != said or time.monotonic() - at >= QUIET_SECONDS:
            self.log.warning("%s", text)
            self._said = (text, time.monotonic())


def pattern_of(template: str) -> re.Pattern[str]:
    """Return what matches the addresses of a flag, with its day as `date` where it has one."""
    first, *others = (re.escape(part) for part in template.split(DATE))
    if not others:
        return re.compile(first)
    day = r"(?P<date>\d{4}-\d\d-\d\d)"
    return re.compile(first + day + "(?P=date)".join(others))


def addresses_now(template: str, timezone: str) -> tuple[str, ...]:
    """Return where a flag may land now, the likeliest first: today's and yesterday's place."""
    if DATE not in template:
        return (template,)
    today = datetime.now(UTC).astimezone(ZoneInfo(timezone)).date()
    return tuple(
        template.replace(DATE, day.isoformat()) for day in (today, today - timedelta(days=1))
    )


async def whole_address(flag: str) -> str:
    """Return a flag's address; a relative one starts at the store.

    Raises:
        ValueError: when no Airflow connection names a store.
    """
    if "://" in flag:
        return flag
    connection = await find_connection(STORE)
    uri = None if connection is None else connection.extra.get("uri")
    if not isinstance(uri, str) or not uri:
        raise ValueError(
            f"there is no Airflow connection {STORE!r} whose extra names a store by `uri`"
        )
    return f"{uri.rstrip('/')}/{flag}"


def waking(address: str) -> AbstractContextManager[asyncio.Event]:
    """Return what yields an event that is set when something happens to a flag on a disk."""
    if address.startswith("file://"):
        return WATCHER.waking(_path(address))
    return nullcontext(asyncio.Event())


async def flag_identity(address: str) -> str | None:
    """Return what changes whenever a flag is written; None when there is none."""
    if address.startswith("file://"):
        return await asyncio.to_thread(_identity_on_disk, _path(address))
    found = await objects_at(address)
    return object_identity(found[0]["ETag"], found[0]["LastModified"]) if found else None


def _identity_on_disk(path: str) -> str | None:
    try:
        status = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return f"{status.st_mtime_ns}-{status.st_size}"


def _path(uri: str) -> str:
    return unquote(urlsplit(uri).path)
