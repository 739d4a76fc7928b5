"""The Airflow that the watch asks."""

from __future__ import annotations

import pytest

from include.orchestration.watch import ended_runs, follow_runs
from tests.support.watched_airflow import Airflow


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    """An Airflow that the watch asks."""
    made = Airflow()
    monkeypatch.setattr(ended_runs, "find_run", made.find)
    monkeypatch.setattr(follow_runs, "newest_runs", made.newest)
    return made
