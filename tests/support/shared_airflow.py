"""One Airflow for several files of tests: to start one takes as much as a run or two.

Each file brings models of its own, whose names no other file has. The files run one after another
in one process (`tests/support/worker_processes.py` names them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.airflow_harness import Stage, stage
from tests.support.repository_copy import copy_repository


def files_that_share(items: Iterable[pytest.Item]) -> set[Path]:
    """Return the files whose tests use the fixture `shared`.

    An argument of another test may have that name: only what starts an Airflow is counted, or the
    Airflow would wait for a file that never uses it, and run to the end of the session.
    """
    return {
        item.path
        for item in items
        if "shared" in getattr(item, "fixturenames", ()) and item.get_closest_marker("airflow")
    }


class SharedAirflow:
    """An Airflow that the first file starts and the last one ends."""

    def __init__(self, folder: Path, files: int) -> None:
        """Start nothing yet.

        Args:
            folder: an empty folder for everything.
            files: how many files will use it.
        """
        self._folder = folder
        self._files_left = files
        self._stack = ExitStack()
        self._running: Stage | None = None

    @contextmanager
    def with_models(self, prepare: Callable[[Path], None]) -> Iterator[Stage]:
        """Return the running Airflow for one file, which adds its models to the copy it gets."""
        if self._running is None:
            root = copy_repository(self._folder / "repository")
            prepare(root)
            notify_one_by_one(root)
            self._running = self._stack.enter_context(stage(self._folder / "stage", root=root))
        else:
            prepare(self._running.root)
            notify_one_by_one(self._running.root)
            self._running.parse_again()
        yield self._running
        self._files_left -= 1
        if self._files_left == 0:
            self.end()

    def end(self) -> None:
        """End it, if it runs."""
        self._running = None
        self._stack.close()


def notify_one_by_one(root: Path) -> None:
    """List no model's messages in a digest: within an hour many tests get messages alike."""
    for file in (root / "include" / "models").glob("*.yaml"):
        if "\nalerts:" not in file.read_text(encoding="utf-8"):
            with file.open("a", encoding="utf-8") as opened:
                opened.write("\nalerts:\n  digest_above: 1000\n")
