"""With `-n 2`, the tests of a file stay together, as they share what they start.

What takes longest comes first, or one process waits for the other in the end.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

LONGEST = (
    "tests/e2e/test_backends.py",
    "tests/e2e/test_backend_faults.py",
    "tests/e2e/test_outcomes.py",
    "tests/e2e/test_faults_training.py",
    "tests/e2e/test_shadow_runs.py",
    "tests/e2e/test_approval.py",
    "tests/e2e/test_faults_secrets.py",
    "tests/include/retraining/registry/test_crash_points.py",
)
"""The files that take longest, longest first; then come the others on a whole Airflow."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Give files to processes in the order of collection."""
    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


def place(item: pytest.Item) -> tuple[int, bool]:
    """Return by what tests are sorted."""
    file = item.nodeid.partition("::")[0]
    rank = LONGEST.index(file) if file in LONGEST else len(LONGEST)
    return rank, item.get_closest_marker("airflow") is None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=place)
