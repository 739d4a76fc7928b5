"""What Airflow's database knows of the models' DAGs. Three questions, however many models."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from sqlalchemy import select

from include.orchestration.runtime.run_reference import DAG_PREFIX

APPROVAL_TASK = "approve_promotion"


@dataclass(frozen=True)
class DagSummary:
    """A model's DAG, as Airflow has it."""

    dag_id: str
    is_there: bool
    """False for a DAG that Airflow does not know, or whose file is gone."""
    is_paused: bool = False
    next_run: datetime | None = None
    """When the next run is due; None when it is triggered manually only, or is paused."""
    running: str | None = None
    """The id of a running run."""
    waits_for_person: str | None = None
    """The id of a run that waits for approval."""


def model_dag_ids() -> set[str]:
    """Return the ids of the DAGs that retrain a model."""
    with create_session() as session:
        ids = session.scalars(
            select(DagModel.dag_id).where(
                DagModel.dag_id.startswith(DAG_PREFIX, autoescape=True),
                DagModel.is_stale.is_(False),
            )
        )
        return set(ids)


def read_dags(dag_ids: Collection[str]) -> dict[str, DagSummary]:
    """Return what Airflow knows of some DAGs, by their ids."""
    summaries = {dag_id: DagSummary(dag_id, is_there=False) for dag_id in dag_ids}
    with create_session() as session:
        dags = session.execute(
            select(DagModel.dag_id, DagModel.is_paused, DagModel.next_dagrun_create_after).where(
                DagModel.dag_id.in_(dag_ids), DagModel.is_stale.is_(False)
            )
        ).all()
        runs = session.execute(
            select(DagRun.dag_id, DagRun.run_id)
            .where(
                DagRun.dag_id.in_(dag_ids),
                DagRun.state == DagRunState.RUNNING,
            )
            .order_by(DagRun.run_after)
        ).all()
        asked = session.execute(
            select(TaskInstance.dag_id, TaskInstance.run_id).where(
                TaskInstance.dag_id.in_(dag_ids),
                TaskInstance.task_id == APPROVAL_TASK,
                TaskInstance.state.in_([
                    TaskInstanceState.DEFERRED,
                    TaskInstanceState.AWAITING_INPUT,
                ]),
            )
        ).all()
    running = {run.dag_id: run.run_id for run in runs}
    waiting = {run.dag_id: run.run_id for run in asked}
    for dag_id, is_paused, next_run in dags:
        summaries[dag_id] = DagSummary(
            dag_id,
            is_there=True,
            is_paused=is_paused,
            next_run=None if is_paused else next_run,
            running=running.get(dag_id),
            waits_for_person=waiting.get(dag_id),
        )
    return summaries


def due(dag_id: str, run_id: str) -> datetime | None:
    """Return when a run was due; None when Airflow does not know the run any more."""
    with create_session() as session:
        run_after: datetime | None = session.scalar(
            select(DagRun.run_after).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
        )
        return run_after
