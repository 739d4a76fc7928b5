"""DAGs and their runs, read by a task over its connection to Airflow.

Airflow 3 gives no task access to its database, and `ti` has no method that tells of another DAG's
run when it was due and how often it was cleared. The messages are those of the task SDK itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk.exceptions import AirflowRuntimeError

if TYPE_CHECKING:
    from airflow.sdk.api.datamodels._generated import DagRun

ENDED = frozenset({"success", "failed"})


def find_run(dag_id: str, run_id: str) -> DagRun | None:
    """Return a run, or None when Airflow has none of that id: it was deleted."""
    from airflow.sdk.execution_time.comms import GetDagRun

    return cast("DagRun | None", _request(GetDagRun(dag_id=dag_id, run_id=run_id)))


def newest_runs(dag_id: str, limit: int) -> Iterator[DagRun]:
    """Yield a DAG's newest runs that have a logical date: scheduled ones, and the UI's.

    Args:
        dag_id: the DAG.
        limit: at most so many.
    """
    from airflow.sdk.execution_time.comms import GetPreviousDagRun

    before = datetime.now(UTC) + timedelta(days=1)
    for _ in range(limit):
        response: Any = _request(GetPreviousDagRun(dag_id=dag_id, logical_date=before))
        if response is None or response.dag_run is None:
            return
        yield response.dag_run
        before = response.dag_run.logical_date


def is_paused(dag_id: str) -> bool | None:
    """Return whether a DAG is paused, None when Airflow does not know it."""
    from airflow.sdk.execution_time.comms import GetDag

    dag: Any = _request(GetDag(dag_id=dag_id))
    return None if dag is None else bool(dag.is_paused)


def _request(message: Any) -> Any:
    """Return Airflow's answer, None when it knows no such thing."""
    from airflow.sdk.execution_time import task_runner

    try:
        return task_runner.SUPERVISOR_COMMS.send(message)
    except AirflowRuntimeError as error:
        detail: Any = error.error.detail or {}
        if detail.get("status_code") == HTTPStatus.NOT_FOUND:
            return None
        raise
