"""Jobs elsewhere whose run has ended: found by the markers that their claims left."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.sdk import Context

from include.orchestration.watch import ended_runs
from include.orchestration.watch.follow_runs import remove_markers
from include.orchestration.watch.side_by_side import going_on, in_turn
from include.retraining.exceptions import RetrainingError

if TYPE_CHECKING:
    from include.retraining.store.object_store import Store


def stop_lost_jobs(store: Store, context: Context) -> list[str]:
    """End the jobs that still run for a run that has ended, and notify; return their names.

    Raises:
        RetrainingError: at the end, with all that failed: those are tried again.
    """
    from include.retraining.runs.journal import find_known_run, open_runs
    from include.retraining.store.layout import OPEN_JOBS, OPEN_SCORING_JOBS

    before = datetime.now(UTC) - ended_runs.GRACE
    opened = [*open_runs(store, OPEN_JOBS), *open_runs(store, OPEN_SCORING_JOBS)]
    markers = {marker.key: marker for marker in opened}

    def stop(key: str) -> list[str] | None:
        """Return the names of the jobs that were ended; None while the run goes on."""
        known = find_known_run(store, markers[key])
        ended = None if known is None else ended_runs.ended_run(known, before)
        return None if ended is None else ended_runs.stop_lost_jobs(store, ended, context)

    names: list[str] = []
    settled: list[str] = []
    problems: list[str] = []
    for key, stopped in going_on(in_turn(store, "open_jobs", markers, stop), problems):
        if stopped is not None:
            names += stopped
            settled.append(key)
    remove_markers(store, settled, problems)
    if problems:
        raise RetrainingError("; ".join(problems))
    return names
