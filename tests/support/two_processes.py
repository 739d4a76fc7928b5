"""With `-n 2`, one process has every test that starts an Airflow, the other shares in the rest.

An Airflow that works takes a whole core, so there is one. Those that are broken on purpose come
last, a file each, and both processes share in them: their tests wait long enough for two. The
tests of a file stay together, as they share what they start.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

MARK = "pytest.mark.airflow"
BREAKS = "pytest.mark.slow"


@cache
def scope_of(file: str) -> str:
    """Return what a test file's tests share: a process, with all whose Airflow works or alone."""
    text = Path(file).read_text()
    return MARK if MARK in text and BREAKS not in text else file


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """Gives files to processes in order, and those whose Airflow works to one and the same."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Schedule so."""
    config.option.loadscopereorder = False
    return Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, or the other process waits for it in the end."""
    breaking = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path in breaking, item.get_closest_marker("airflow") is None))
