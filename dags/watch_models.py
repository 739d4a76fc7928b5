"""# Watch over all models.

Every five minutes, what no run can see of itself. Each task looks after one thing, and none stops
another:

- **Send again** what Slack did not take when it was new.
- **Close dead runs**: a run that was killed or marked failed as a whole gets its decision record
  and its message.
- **Stop lost jobs** on AWS Batch or Kubernetes whose run has ended.
- **Look at the models**: a wrong configuration, paused, nothing decided for two intervals, what
  serves is too old, late by the clock. Each is told once, and again when it is over.
- **Leave a mark** in the store, by which `python -m include.retraining watch`, outside of Airflow,
  sees that this DAG works.

## Triage

- **Red at "Send again"**: Slack is not well; nothing is lost. See `docs/runbooks/outbox.md`.
- **Red elsewhere**: the log's first error is one sentence. The next run tries again by itself; a
  single red run needs nothing.
- To be left alone for a while, pause the model's DAG, never this one.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from include.orchestration.watch import tasks

with DAG(  # allow alert_of_tasks_only: the watch outside Airflow tells when no mark is left
    dag_id="watch_models",
    dag_display_name="Watch over all models",
    description="What no run can see of itself",
    doc_md=__doc__,
    schedule="*/5 * * * *",
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=20),
    # It watches from the first parse on: nobody thinks of unpausing it.
    is_paused_upon_creation=False,
    tags=["retraining", "watch"],
    # No retries: the next run comes in five minutes.
    default_args={"retries": 0, "execution_timeout": timedelta(minutes=15)},
) as dag:
    looks = [
        task(task_id="resend_notices", task_display_name="Send again")(tasks.resend_notices),
        task(task_id="close_dead_runs", task_display_name="Close dead runs")(tasks.close_dead_runs),
        task(task_id="stop_lost_jobs", task_display_name="Stop lost jobs")(tasks.stop_lost_jobs),
        task(task_id="check_models", task_display_name="Look at the models")(tasks.check_models),
    ]
    # It runs whatever became of the others, and fails if one of them did: a leaf that does not
    # would make the run green.
    mark = task(
        task_id="leave_mark",
        task_display_name="Leave a mark",
        trigger_rule="all_done",  # allow past_a_failure: it fails itself when one of them did
    )(tasks.write_heartbeat)
    [look() for look in looks] >> mark()
