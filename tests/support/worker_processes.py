"""With `-n`, the tests of a file stay together, as they share what they start.

What takes longest comes first, or the others wait for one process in the end. And what each process
does before its first test is kept short.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

ON_ONE_AIRFLOW = (
    "tests/e2e/test_outcomes.py",
    "tests/e2e/test_approval.py",
    "tests/e2e/test_rollback.py",
    "tests/e2e/test_shadow_runs.py",
    "tests/e2e/test_faults_decision.py",
)
"""Files whose tests share an Airflow (`tests/support/shared_airflow.py`)."""
LONGEST = (
    *ON_ONE_AIRFLOW,
    "tests/e2e/test_backends.py",
    "tests/e2e/test_faults_training.py",
    "tests/e2e/test_backend_faults.py",
    "tests/e2e/test_watch.py",
    "tests/include/retraining/registry/test_crash_points.py",
)
"""The files that take longest, longest first; then come the others on a whole Airflow."""


def unit(nodeid: str) -> str:
    """Return which unit of work a test belongs to: its file, or those that share an Airflow."""
    file = nodeid.partition("::")[0]
    return " and ".join(ON_ONE_AIRFLOW) if file in ON_ONE_AIRFLOW else file


class FilesTogether(LoadFileScheduling):
    """Gives each unit of work to one process."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesTogether:
    """Give files to processes in the order of collection."""
    config.option.loadscopereorder = False
    return FilesTogether(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Import what asks every module that is there for each of its names, while they are few."""
    if hasattr(config, "workerinput") and not config.getoption("slow"):
        import skops.io  # noqa: F401


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect no garbage meanwhile, nor look for any among what was made: it stays to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def place(item: pytest.Item) -> tuple[int, bool]:
    """Return by what tests are sorted."""
    file = item.nodeid.partition("::")[0]
    rank = LONGEST.index(file) if file in LONGEST else len(LONGEST)
    return rank, item.get_closest_marker("airflow") is None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=place)
