"""# Keep Airflow's database and the store from growing for ever.

Once a night. Neither task stops the other:

- **Remove garbage** from the store: what `python -m include.retraining gc` lists. What served, or
  may be rolled back to, stays, and every record.
- **Trim Airflow's database**: runs that ended and were due more than `RETRAINING_DATABASE_DAYS`
  days ago, with their tasks, and events as old, of every DAG. A run that is open stays, however
  old. Nothing of an audit is lost: plans, decisions and approvals are in the store.

## Triage

- **Red**: nothing is urgent, both go on growing until it works. See `docs/runbooks/upkeep.md`.
- **Skipped at "Trim Airflow's database"**: this Airflow has no connection `airflow_db`, or
  `RETRAINING_DATABASE_DAYS` is not set; see `docs/deployment/README.md`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, task  # type: ignore[attr-defined]

from include.orchestration.upkeep.alert import notify_failed_upkeep
from include.orchestration.upkeep.pods import as_cleaner, with_database
from include.orchestration.upkeep.remove_garbage import remove_garbage as remove
from include.orchestration.upkeep.trim_database import TrimDatabaseOperator


@dag(
    dag_display_name="Upkeep",
    description="Remove what no one needs from Airflow's database and the store",
    doc_md=__doc__,
    # In the quiet of the night, and never at once because a night was missed.
    schedule=CronTriggerTimetable("40 3 * * *", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=8),
    # It works from the first parse on: unpausing it would be forgotten.
    is_paused_upon_creation=False,
    tags=["retraining", "upkeep"],
    on_failure_callback=[notify_failed_upkeep],
    default_args={
        "on_failure_callback": [notify_failed_upkeep],
        "retries": 2,
        "retry_delay": timedelta(minutes=10),
    },
)
def upkeep() -> None:
    """Keep Airflow's database and the store from growing for ever."""

    @task(task_display_name="Remove garbage", executor_config=as_cleaner())
    def remove_garbage() -> str:
        return remove()

    # An operator: it ends its child process when it is killed.
    TrimDatabaseOperator(
        task_id="trim_database",
        task_display_name="Trim Airflow's database",
        executor_config=with_database(),
    )
    remove_garbage()


upkeep()
