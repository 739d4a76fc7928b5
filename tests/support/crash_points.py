"""Kill a process before and after each thing it does to the world.

Every write to the store and every flush to disk is a numbered point. A flow is run once to count
its points, then once per point in a process of its own that is killed right before it, and once
that is killed right after the last: after any other, the world is as it is before the next.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from include.retraining.store.object_store import Store

Flow = Callable[[Store], Any]
# A server that imported everything once and forks: a process costs little, and no thread of the
# test's own process is forked along.
PROCESSES = multiprocessing.get_context("forkserver")
_IMPORTED = ["tests.support.run_factory"]


def import_before_forks(*modules: str) -> None:
    """Let the server import these too: the file of a test whose functions the processes run."""
    _IMPORTED.extend(modules)
    PROCESSES.set_forkserver_preload(_IMPORTED)


class Points:
    """Counts what happens to the world, and kills the process at one point."""

    def __init__(self, at: int, *, is_after: bool) -> None:
        self.at = at
        self.is_after = is_after
        self.count = 0

    def around(self, act: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``act`` as one point."""

        def counted(*arguments: Any, **keywords: Any) -> Any:
            self.count += 1
            is_here = self.count == self.at
            if is_here and not self.is_after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = act(*arguments, **keywords)
            if is_here:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted


class PointedStore(Store):
    """A store whose writes are points."""

    def __init__(self, uri: str, options: Mapping[str, str], points: Points) -> None:
        super().__init__(uri, options)
        for name in ("create", "write", "replace", "upload", "delete"):
            setattr(self, name, points.around(getattr(self, name)))


def count_points(flow: Flow, store: Store) -> int:
    """Run a flow to its end in another process and return how many points it has."""
    receiver, sender = PROCESSES.Pipe(duplex=False)
    assert _run(flow, store, 0, is_after=False, sender=sender) == 0
    return int(receiver.recv())


def kill_at(flow: Flow, store: Store, at: int, *, is_after: bool) -> None:
    """Run a flow in another process that is killed right before or after one of its points."""
    exit_code = _run(flow, store, at, is_after=is_after)
    assert exit_code == -signal.SIGKILL, f"point {at} was not reached: exit code {exit_code}"


def _run(
    flow: Flow, store: Store, at: int, *, is_after: bool, sender: Connection | None = None
) -> int | None:
    arguments = (flow, store.uri, store.options, at, is_after, sender)
    process = PROCESSES.Process(target=_child, args=arguments)
    process.start()
    process.join()
    return process.exitcode


def _child(
    flow: Flow,
    uri: str,
    options: Mapping[str, str],
    at: int,
    is_after: bool,
    sender: Connection | None,
) -> None:
    points = Points(at, is_after=is_after)
    # A kill is no loss of power: what was written is there, flushed or not, so it costs no wait.
    os.fsync = points.around(lambda descriptor: None)
    flow(PointedStore(uri, options, points))
    if sender is not None:
        sender.send(points.count)


def litter(store: Store) -> list[str]:
    """Return what the storage library left half-written in a folder."""
    root = store.local_path("")
    return [] if root is None else [path.name for path in Path(root).rglob("*#*")]
