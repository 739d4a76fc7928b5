"""With `-n 2`, one process has every test that starts an Airflow, the other shares in the rest.

An Airflow takes a whole core, and two of them would time out. The tests of a file stay together, as
they share what they start.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

MARK = "pytest.mark.airflow"


@cache
def scope_of(file: str) -> str:
    """Return what a test file's tests share: a process, with all that start an Airflow or alone."""
    return MARK if MARK in Path(file).read_text() else file


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """Gives files to processes, and those with an Airflow to one and the same."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Schedule so."""
    return Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, or the other process waits for it in the end.

    The files that break an Airflow come after those that do not: by then the other process is done,
    and nothing else makes a wait long.
    """
    breaking = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.get_closest_marker("airflow") is None, item.path in breaking))
