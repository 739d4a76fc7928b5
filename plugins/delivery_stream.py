"""What landed, as one stream for all models of a triggerer, confirmed only once it is stored.

Airflow opens the stream once, however many models there are, hands each event to the trigger of
each model, and says when what they made of it is in its database. Only then is a message deleted,
or a flag noted as reported: a triggerer that is killed in between hears of it again. Twice costs a
run that finds nothing changed.

Light at import: Airflow loads every plugin in each of its processes, tasks included.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer
from delivery_queue import HIDDEN_SECONDS, QUEUE, DeliveryQueue, Message, queue_url
from trigger_support import AwsClients, first_line

UNCONFIRMED = 400
"""As many events are under way at once: less than the 1,024 that Airflow keeps for a trigger."""
RETRY_SECONDS = 5.0
"""Between two tries while the queue refuses or does not answer."""
RECHECK_SECONDS = 20.0
"""How often to look whether there is a queue, or another one."""
QUIET_SECONDS = 60.0

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Landed:
    """One report that something was written."""

    addresses: tuple[str, ...]
    confirm: Callable[[], Awaitable[None]]
    """Called once what it caused is in Airflow's database."""
    give_back: Callable[[], Awaitable[None]]
    """Called when nobody waited for it, or it could not be stored."""
    asset: str | None = None
    """The asset whose trigger noticed it, which is the only one to update; None: all that wait."""
    claimed: set[str] = field(default_factory=set)
    """The addresses that a model waits for."""

    @property
    def is_ours(self) -> bool:
        """Whether models wait for all that it reports."""
        return bool(self.addresses) and self.claimed == set(self.addresses)


class LandedFlags(SharedStreamProducer):
    """Yields what landed: messages of the queue, and what triggers noticed themselves."""

    def __init__(self, noticed: asyncio.Queue[Landed] | None = None) -> None:
        """Open nothing yet.

        Args:
            noticed: where triggers put what they noticed; None for that of this event loop.
        """
        self._landed = noticed
        self._free = asyncio.Semaphore(UNCONFIRMED)
        self._said: tuple[str, float] = ("", 0.0)

    async def open_stream(self) -> AsyncIterator[tuple[Any, Any]]:
        """Yield each report, as event and as what is to be confirmed."""
        landed = noticed_flags() if self._landed is None else self._landed
        receiving = asyncio.create_task(self._receive_for_ever(landed))
        try:
            while True:
                await self._free.acquire()
                one = await landed.get()
                yield one, one
        finally:
            receiving.cancel()

    def get_advance_lane(self, broker_payload: Any) -> Hashable:
        """Return a lane for each event: no model waits for another."""
        return id(broker_payload)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Confirm what is stored, and give the rest back; what fails comes again."""
        for item in batch:
            self._free.release()
            landed: Landed = item.broker_payload
            is_stored = landed.is_ours and item.outcome.failed == 0
            try:
                await (landed.confirm() if is_stored else landed.give_back())
            except Exception as error:  # noqa: BLE001 raising would end the stream of all models
                self._warn(f"{landed.addresses} will be reported again: {first_line(error)}")

    async def _receive_for_ever(self, landed: asyncio.Queue[Landed]) -> None:
        """Receive messages, through whatever the queue or its connection does."""
        while True:
            try:
                url = await queue_url()
                if url is None:
                    await asyncio.sleep(RECHECK_SECONDS)
                    continue
                async with AwsClients(QUEUE) as clients:
                    queue = await DeliveryQueue.connect(url, clients)
                    log.info("deliveries are reported by the queue %s", url)
                    await self._receive(queue, landed)
            except Exception as error:  # noqa: BLE001 it may be there again in a moment
                self._warn_of(error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _receive(self, queue: DeliveryQueue, landed: asyncio.Queue[Landed]) -> None:
        """Receive messages until the queue is another one, or has not answered for too long."""
        checked, answered = time.monotonic(), float("-inf")
        while True:
            if time.monotonic() - checked >= RECHECK_SECONDS:
                if await queue_url() not in {queue.url, None}:  # None: Airflow may be down
                    return
                checked = time.monotonic()
            try:
                messages = await queue.receive()
            except Exception as error:
                # The client stays open: what was received before is still to be confirmed by it.
                if time.monotonic() - answered >= HIDDEN_SECONDS:
                    raise
                self._warn_of(error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            answered = time.monotonic()
            for message in messages:
                if message.written:
                    await landed.put(_report(queue, message))
                else:  # nothing that was written: it is for someone else
                    await queue.give_back(message)

    def _warn_of(self, error: Exception) -> None:
        self._warn(
            f"no deliveries are reported by the connection {QUEUE!r}, runs start by their "
            f"schedule: {first_line(error)}"
        )

    def _warn(self, text: str) -> None:
        """Log a sentence when it is new, and otherwise once a minute."""
        said, at = self._said
        if text != said or time.monotonic() - at >= QUIET_SECONDS:
            log.warning("%s", text)
            self._said = (text, time.monotonic())


def _report(queue: DeliveryQueue, message: Message) -> Landed:
    return Landed(
        message.written,
        confirm=lambda: queue.delete(message),
        give_back=lambda: queue.give_back(message),
    )


_NOTICED: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Queue[Landed]] = WeakKeyDictionary()


def noticed_flags() -> asyncio.Queue[Landed]:
    """Return where all triggers of this event loop put what they noticed themselves."""
    return _NOTICED.setdefault(asyncio.get_running_loop(), asyncio.Queue(UNCONFIRMED))
