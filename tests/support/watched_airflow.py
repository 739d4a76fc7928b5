"""An Airflow that the watch asks about runs; all have failed but those that go on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from include.orchestration.runtime.urls import airflow_url
from include.retraining.runs.journal import record_run_start
from include.retraining.runs.reference import RunRef
from include.retraining.store.object_store import Store

ENDED = datetime(2026, 11, 1, tzinfo=UTC)


class Airflow:
    """What Airflow says of the runs; all have failed."""

    def __init__(self) -> None:
        self.runs: dict[str, RunRef] = {}
        self.scheduled: list[str] = []
        """The ids of those that have a logical date, the newest first."""
        self.running: set[str] = set()
        self.asked = 0

    def find(self, dag_id: str, run_id: str) -> Any:
        """Return a run as the task SDK describes it, None when it was deleted."""
        self.asked += 1
        run = self.runs.get(run_id)
        return run and SimpleNamespace(
            run_id=run.run_id,
            run_after=run.run_after,
            state="running" if run_id in self.running else "failed",
            end_date=None if run_id in self.running else ENDED,
            clear_number=run.clear,
            run_type="scheduled",
            triggering_user_name=None,
        )

    def newest(self, dag_id: str, limit: int) -> Iterator[Any]:
        """Yield the newest runs that have a logical date."""
        for run_id in self.scheduled[:limit]:
            yield self.find(dag_id, run_id)


def begin(store: Store, airflow: Airflow, run: RunRef) -> RunRef:
    """Let a run begin."""
    record_run_start(store, run, airflow=airflow_url())
    airflow.runs[run.run_id] = run
    return run
