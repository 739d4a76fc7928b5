"""Wait for DAGs to be parsed and follow runs to their end, a line per task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from include.local_airflow.cluster import LocalAirflow
from include.local_airflow.errors import LocalAirflowError, TookTooLong
from include.local_airflow.rest_client import RUN_ENDED, AirflowSession
from include.retraining.exceptions import AirflowRefused, AirflowUnreachable

PARSE_SECONDS = 120.0
TASK_ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


class DagBroken(LocalAirflowError):
    """A DAG file cannot be parsed."""


@dataclass
class FollowedRun:
    """One run that is being followed."""

    dag_id: str
    run_id: str
    state: str = "queued"
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """Whether the run is over."""
        return self.state in RUN_ENDED


def wait_for_dags(
    airflow: LocalAirflow, api: AirflowSession, dag_ids: list[str], since: datetime
) -> None:
    """Wait until each DAG was parsed by this Airflow.

    Args:
        airflow: the running Airflow.
        api: a client of it.
        dag_ids: the DAGs to wait for.
        since: when this Airflow was started; what an earlier one knew does not count.

    Raises:
        DagBroken: when a file cannot be parsed and a DAG is therefore missing.
        TookTooLong: when a DAG does not turn up.
    """
    for dag_id in dag_ids:
        airflow.wait_for(
            lambda dag_id=dag_id: _is_parsed(api, dag_id, since),  # type: ignore[misc]
            f"DAG {dag_id} (is its file in dags/?)",
            PARSE_SECONDS,
        )


def _is_parsed(api: AirflowSession, dag_id: str, since: datetime) -> bool:
    dag = api.dag(dag_id)
    if dag and not dag["is_stale"] and _time(dag["last_parsed_time"]) >= since:
        return True
    errors = api.import_errors(since)
    if errors:
        file, traceback = errors[0]
        raise DagBroken(
            f"DAG {dag_id} is not there because a file cannot be parsed: {file}: {traceback}"
        )
    return False


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def follow(
    airflow: LocalAirflow,
    api: AirflowSession,
    runs: list[FollowedRun],
    on_task: Callable[[FollowedRun, dict[str, Any]], None],
    timeout_seconds: float,
    *,
    report: Callable[[str], None] = lambda _: None,
) -> None:
    """Follow runs until all have ended, and report each task once, when it has ended.

    Args:
        airflow: the running Airflow.
        api: a client of it.
        runs: the runs.
        on_task: takes each task that has ended.
        timeout_seconds: after which to give up.
        report: takes where the runs are that have not ended.

    Raises:
        TookTooLong: naming the runs that have not ended and where they are.
        ComponentEnded: when Airflow breaks meanwhile.
    """

    def all_ended() -> bool:
        for run in runs:
            if not run.has_ended:
                try:
                    _report_changes(api, run, on_task)
                except AirflowRefused:
                    raise
                except AirflowUnreachable:
                    continue  # a busy machine answers late, and the runs go on
        report("; ".join(_where(run) for run in runs if not run.has_ended))
        return all(run.has_ended for run in runs)

    try:
        airflow.wait_for(all_ended, "end of the runs", timeout_seconds)
    except TookTooLong as error:
        late = "; ".join(_where(run) for run in runs if not run.has_ended)
        raise TookTooLong(f"after {timeout_seconds:.0f} s not ended: {late}") from error


def _report_changes(
    api: AirflowSession,
    run: FollowedRun,
    on_task: Callable[[FollowedRun, dict[str, Any]], None],
) -> None:
    # The run's state first: when it says "ended", the tasks read after it are final.
    state = str(api.run(run.dag_id, run.run_id)["state"])
    for task_id, task in api.tasks(run.dag_id, run.run_id).items():
        before = run.tasks.get(task_id, {}).get("state")
        run.tasks[task_id] = task
        if task["state"] in TASK_ENDED and task["state"] != before:
            on_task(run, task)
    run.state = state


def _where(run: FollowedRun) -> str:
    busy = [
        f"{task_id} is {task['state']}"
        for task_id, task in run.tasks.items()
        if task["state"] not in TASK_ENDED and task["state"] is not None
    ]
    return f"{run.dag_id} ({run.state}: {', '.join(busy) or 'no task runs'})"
