"""Tests of the flags' watcher: a flag on disk is noticed when it lands, and costs little."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import resource
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import watchfiles._rust_notify  # noqa: F401 imported before a test leaves no file to open
from airflow.triggers.base import TriggerEvent
from flag_triggers import FileFlagTrigger, Observation
from flag_watcher import WATCHER

POLL_SECONDS = 3600.0


class CountingTrigger(FileFlagTrigger):
    """A trigger that counts how often it has observed."""

    observations = 0

    async def observe(self) -> Observation:
        """Observe, and count it."""
        seen = await super().observe()
        self.observations += 1
        return seen


def waiting_trigger(folder: Path, poke_seconds: float = POLL_SECONDS) -> CountingTrigger:
    """Return a trigger that waits for a flag in a folder, and polls hardly ever."""
    return CountingTrigger(
        flag=str(folder / "ready.flag"),
        folder=str(folder),
        ignored_flag=None,
        seen=None,
        reason="ready.flag is not there yet",
        poke_seconds=poke_seconds,
        deadline=time.time() + 2 * POLL_SECONDS,
    )


async def event_of(trigger: FileFlagTrigger) -> TriggerEvent:
    """Return the trigger's event."""
    return await anext(trigger.run())


async def reached(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def are_watched(*triggers: CountingTrigger) -> None:
    """Wait until triggers have observed at first, and once more when their folder was watched."""
    await reached(lambda: all(trigger.observations >= 2 for trigger in triggers))


def inotify_instances() -> int:
    """Return how many inotify instances this process has."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            count += descriptor.readlink().name.endswith("inotify")
        except FileNotFoundError:  # the one that lists the folder
            continue
    return count


def watcher_threads() -> int:
    """Return how many threads watch."""
    return [thread.name for thread in threading.enumerate()].count("flag-watcher")


async def is_all_over() -> None:
    """Wait until nothing watches any more."""
    await reached(lambda: watcher_threads() == 0 and inotify_instances() == 0)


def test_a_flag_is_noticed_when_it_lands_and_not_at_the_next_poll(tmp_path: Path) -> None:
    """A trigger that polls every hour fires at once when the flag lands."""

    async def scene() -> None:
        trigger = waiting_trigger(tmp_path)
        task = asyncio.create_task(event_of(trigger))
        await are_watched(trigger)
        (tmp_path / "ready.flag").touch()
        assert (await asyncio.wait_for(task, 60)).payload == {}
        await is_all_over()

    asyncio.run(scene())


def test_a_flag_is_noticed_in_folders_that_are_made_later(tmp_path: Path) -> None:
    """The nearest folder that exists is watched, then each folder that appears within it."""

    async def scene() -> None:
        folder = tmp_path / "landing" / "churn" / "2026-11-28"
        trigger = waiting_trigger(folder)
        task = asyncio.create_task(event_of(trigger))
        await are_watched(trigger)
        folder.parent.mkdir(parents=True)
        observations = trigger.observations
        await reached(lambda: trigger.observations > observations)
        folder.mkdir()
        (folder / "ready.flag").touch()
        await asyncio.wait_for(task, 60)

    asyncio.run(scene())


def test_a_flag_is_noticed_in_a_folder_that_was_removed_and_made_again(tmp_path: Path) -> None:
    """A folder that takes the place of the watched one is watched too."""

    async def scene() -> None:
        folder = tmp_path / "landing"
        folder.mkdir()
        trigger = waiting_trigger(folder)
        task = asyncio.create_task(event_of(trigger))
        await are_watched(trigger)
        for _ in range(2):
            observations = trigger.observations
            shutil.rmtree(folder)
            await reached(lambda observations=observations: trigger.observations > observations)  # type: ignore[misc]
            folder.mkdir()
        (folder / "ready.flag").touch()
        await asyncio.wait_for(task, 60)

    asyncio.run(scene())


def test_a_name_that_is_no_text_does_not_end_the_watching(tmp_path: Path) -> None:
    """A file whose name is not UTF-8 is no reason to miss what lands later."""

    async def scene() -> None:
        trigger = waiting_trigger(tmp_path)
        task = asyncio.create_task(event_of(trigger))
        await are_watched(trigger)
        observations = trigger.observations
        Path(os.fsdecode(bytes(tmp_path) + b"/donn\xe9es.csv")).touch()
        await reached(lambda: trigger.observations > observations)
        (tmp_path / "ready.flag").touch()
        await asyncio.wait_for(task, 60)
        await is_all_over()

    asyncio.run(scene())


def test_many_triggers_share_one_watcher_and_it_ends_with_them(tmp_path: Path) -> None:
    """200 triggers have one thread and one inotify instance; both end when the last one does."""

    async def scene() -> None:
        folders = [tmp_path / f"model_{number}" for number in range(200)]
        for folder in folders:
            folder.mkdir()
        triggers = [waiting_trigger(folder) for folder in folders]
        tasks = [asyncio.create_task(event_of(trigger)) for trigger in triggers]
        await are_watched(*triggers)
        assert (watcher_threads(), inotify_instances()) == (1, 1)
        for number in (7, 150):
            (folders[number] / "ready.flag").touch()
            await asyncio.wait_for(tasks[number], 60)
        assert sum(task.done() for task in tasks) == 2
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await is_all_over()

    asyncio.run(scene())


def test_what_happens_to_other_files_wakes_nobody(tmp_path: Path) -> None:
    """Data that a producer writes beside the flag costs no observation."""

    async def scene() -> None:
        beside, own = tmp_path / "beside", tmp_path / "own"
        beside.mkdir()
        own.mkdir()
        first, second = waiting_trigger(own), waiting_trigger(beside)
        tasks = [asyncio.create_task(event_of(trigger)) for trigger in (first, second)]
        await are_watched(first, second)
        observations = first.observations
        (own / "data.csv").touch()
        (beside / "ready.flag").touch()  # its event comes after, or with, that of the data
        await asyncio.wait_for(tasks[1], 60)
        assert first.observations == observations
        (own / "ready.flag").touch()
        await asyncio.wait_for(tasks[0], 60)

    asyncio.run(scene())


def wait_where_nothing_can_be_opened(folder: Path) -> None:
    """Wait by polls alone, as the system lets this process open nothing at first.

    In a process of its own: other threads of this one need files.
    """
    messages: list[str] = []

    class Noting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    async def scene() -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            tasks = [
                asyncio.create_task(event_of(waiting_trigger(folder, poke_seconds=0.02)))
                for _ in range(3)
            ]
            await reached(lambda: bool(messages))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        (folder / "ready.flag").touch()
        await asyncio.wait_for(asyncio.gather(*tasks), 60)
        await is_all_over()

    logging.getLogger("flag_watcher").addHandler(Noting())
    asyncio.run(scene())
    [message] = messages
    assert "polling alone" in message
    assert "Too many open files" in message


def test_without_a_watcher_the_poll_notices_and_the_log_says_so_once(tmp_path: Path) -> None:
    """A system that watches no more folders leaves it to the polls; the warning says why."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=wait_where_nothing_can_be_opened, args=(tmp_path,))
    process.start()
    process.join(120)
    assert process.exitcode == 0


def test_a_flag_needs_no_watcher_to_be_seen_at_first(tmp_path: Path) -> None:
    """A flag that is there when the trigger starts fires without any event."""
    (tmp_path / "ready.flag").touch()
    assert asyncio.run(event_of(waiting_trigger(tmp_path))).payload == {}
    thread = WATCHER._thread
    if thread is not None:
        thread.join(60)
    assert watcher_threads() == 0
