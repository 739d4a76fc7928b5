"""The child of `trim_database`: the one process of ours that opens Airflow's own database.

`python -m include.orchestration.upkeep.database DAYS`, with the database's address in
`AIRFLOW__DATABASE__SQL_ALCHEMY_CONN`. Runs are removed here and not by `airflow db clean`, which
counts days alone: it takes runs away that are still open, with a trigger the task that waits by it,
and cannot be told to spare a DAG (Airflow 3.3.2). What hangs on no run is left to that command.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from include.retraining.runs.process import die_with_parent

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

TABLES = (
    "asset_event",
    "callback",
    "celery_taskmeta",
    "celery_tasksetmeta",
    "job",
    "log",
    "revoked_token",
    "session",
)
"""What grows with time and hangs on no run. Airflow's triggerer removes triggers by itself."""
BATCH = 2_000
"""Runs of one transaction: others wait for it, on SQLite all of them."""


def trim(before: datetime) -> str:
    """Remove what is older from Airflow's database.

    Args:
        before: runs that were due before this time and have ended, and what else began before it.

    Returns:
        What was done, in a sentence.

    Raises:
        RuntimeError: naming the tables that could not be trimmed.
    """
    from airflow.utils.db_cleanup import config_dict, run_cleanup
    from airflow.utils.session import create_session
    from pendulum import instance

    with create_session() as session:
        removed = remove_runs(session, before)
        remove_dag_versions(session, before)
        run_cleanup(
            clean_before_timestamp=instance(before),
            table_names=[name for name in TABLES if name in config_dict],
            confirm=False,
            skip_archive=True,  # a copy of what is removed would make the database no smaller
            error_on_cleanup_failure=True,
            session=session,
        )
    return f"removed {removed} runs that were due before {before:%Y-%m-%d} and had ended"


def remove_runs(session: Session, before: datetime) -> int:
    """Remove runs that have ended, and return how many.

    Their task instances, XComs, deadlines and answers go with them, by the database's own rules. A
    run that is open stays with all of its tasks, one that was cleared too. So does the newest run
    of each DAG that was not triggered: Airflow counts the next one from it.
    """
    from airflow.models.dagrun import DagRun
    from airflow.utils.state import State
    from airflow.utils.types import DagRunType
    from sqlalchemy import delete, func, select

    newest = (
        select(func.max(DagRun.run_after).label("run_after"), DagRun.dag_id)
        .where(DagRun.run_type != DagRunType.MANUAL)
        .group_by(DagRun.dag_id)
        .subquery()
    )
    is_newest = (DagRun.dag_id == newest.c.dag_id) & (DagRun.run_after == newest.c.run_after)
    # When it ended counts as well: one that was cleared, or a backfill's, was due long before.
    has_ended = DagRun.state.in_(State.finished_dr_states) & (
        func.coalesce(DagRun.end_date, DagRun.run_after) < before
    )
    old = (
        select(DagRun.id)
        .outerjoin(newest, is_newest)
        .where(has_ended, DagRun.run_after < before, newest.c.dag_id.is_(None))
        .limit(BATCH)
    )
    removed = 0
    while ids := session.scalars(old).all():
        # The state once more: someone may have cleared a run meanwhile.
        done: Any = session.execute(delete(DagRun).where(DagRun.id.in_(ids), has_ended))
        session.commit()
        removed += done.rowcount
    return removed


def remove_dag_versions(session: Session, before: datetime) -> None:
    """Remove the versions of DAGs that no task instance names, but for the newest of each DAG."""
    from airflow.models.dag_version import DagVersion
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import delete, exists, func, select

    newest = select(func.max(DagVersion.version_number).label("number"), DagVersion.dag_id)
    newest_of = newest.group_by(DagVersion.dag_id).subquery()
    is_older = exists().where(
        newest_of.c.dag_id == DagVersion.dag_id, newest_of.c.number > DagVersion.version_number
    )
    is_used = exists().where(TaskInstance.dag_version_id == DagVersion.id)
    unused = select(DagVersion.id).where(DagVersion.created_at < before, is_older, ~is_used)
    while ids := session.scalars(unused.limit(BATCH)).all():
        session.execute(delete(DagVersion).where(DagVersion.id.in_(ids)))
        session.commit()


def main() -> int:
    """Trim the database and return the exit code; the last line says what was done."""
    die_with_parent()
    sys.stdout.write(trim(datetime.now(UTC) - timedelta(days=int(sys.argv[1]))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
