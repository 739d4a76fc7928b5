"""What Airflow's triggerer does with event triggers, with a database that a test stops and starts.

The stream is Airflow's own (`SharedStreamManager`); subscribing, collecting events and confirming
what is stored are as in `TriggerRunner.run_trigger`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    AssetStateStoreResult,
    ErrorResponse,
    GetAssetStateStoreByName,
    SetAssetStateStoreByName,
)
from airflow.sdk.execution_time.context import AssetStateStoreAccessors
from airflow.sdk.execution_time.task_runner import ErrorType
from airflow.triggers.base import BaseEventTrigger
from airflow.triggers.shared_stream import SharedStreamManager


class AssetStates(dict[tuple[str, str], Any]):
    """What Airflow keeps with each asset, by the asset's name and a key."""

    async def asend(self, message: Any) -> Any:
        """Answer as the triggerer's supervisor does."""
        if isinstance(message, SetAssetStateStoreByName):
            self[message.name, message.key] = message.value
            return None
        assert isinstance(message, GetAssetStateStoreByName)
        if (message.name, message.key) not in self:
            return ErrorResponse(error=ErrorType.ASSET_STORE_NOT_FOUND)
        return AssetStateStoreResult(value=self[message.name, message.key])


class Triggerer:
    """Runs event triggers in the event loop of a test."""

    def __init__(self) -> None:
        """Run none yet; what they fire is stored at once."""
        self.manager = SharedStreamManager(cohort_grace_period=0.05)
        self.fired: list[tuple[str, Any]] = []
        """The asset of the trigger and the event's payload."""
        self.is_storing = True
        self._unstored: list[int] = []
        self._ids = itertools.count(1)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, trigger: BaseEventTrigger, *assets: str) -> None:
        """Run a trigger that updates these assets; without any, its own."""
        names = assets or (trigger.asset,)  # type: ignore[attr-defined]
        trigger.asset_state_store = AssetStateStoreAccessors(inlets=[Asset(name) for name in names])
        self._tasks.append(asyncio.create_task(self._run(next(self._ids), trigger)))

    async def _run(self, trigger_id: int, trigger: BaseEventTrigger) -> None:
        key = trigger.shared_stream_key()
        assert key is not None
        stream = self.manager.subscribe(trigger_id=trigger_id, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                self.fired.append((trigger.asset, event.payload))  # type: ignore[attr-defined]
                seq = self.manager.bind_pending_event(trigger_id=trigger_id, key=key)
                assert seq is not None
                self._unstored.append(seq)
        finally:
            await self.manager.unsubscribe(trigger_id, key)

    async def wait_for(self, condition: Callable[[], Any], seconds: float = 60) -> Any:
        """Wait for a condition, storing what was fired while the database is there."""
        async with asyncio.timeout(seconds):
            while True:
                for task in self._tasks:
                    if task.done() and not task.cancelled():
                        task.result()
                if self.is_storing:
                    self.manager.confirm_persisted(self._unstored)
                    self._unstored.clear()
                if result := condition():
                    return result
                await asyncio.sleep(0.02)

    @property
    def polls(self) -> int:
        """How many streams are polled."""
        names = [task.get_name() for task in asyncio.all_tasks()]
        return sum(name.startswith("shared-stream-poll") for name in names)

    async def end(self) -> None:
        """End all triggers, as when the process goes down: nothing more is confirmed."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        await self.manager.stop_all()


@asynccontextmanager
async def triggerer(states: AssetStates | None = None) -> AsyncIterator[Triggerer]:
    """Run a triggerer until the block ends.

    Args:
        states: what Airflow keeps with the assets; None for nothing yet.
    """
    running = Triggerer()
    with pytest.MonkeyPatch.context() as patch:
        supervisor = states if states is not None else AssetStates()
        patch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
        try:
            yield running
        finally:
            await running.end()
