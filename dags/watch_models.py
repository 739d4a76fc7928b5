"""# Watch over all models.

Every five minutes, what no run can see of itself. Each task has one duty, and none stops
another:

- **Resend notices** that no channel took when they were new, and list those that were held.
- **Close dead runs**: a run that was killed or marked failed as a whole gets its decision record
  and its message.
- **Stop lost jobs** on AWS Batch, Kubernetes or AWS Lambda whose run has ended.
- **Check models**: a wrong configuration, paused, nothing decided for two intervals, a champion
  that is too old, late by the clock. Each is notified once, and again when it is over.
- **Write the heartbeat** into the store, by which `python -m include.retraining watch`, outside of
  Airflow, sees that this DAG works.

## Triage

- **Red at "Resend notices"**: Slack is not well; nothing is lost. See `docs/runbooks/outbox.md`.
- **A warning that some were not begun**: there are more models than one pass can check in its time;
  the next one begins with them.
- **Red elsewhere**: the log's first error is one sentence. The next run tries again by itself; a
  single red run needs nothing.
- To silence a model's messages for a while, trigger `silence_alerts`; never pause this DAG.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag, task

from include.orchestration.watch import tasks


@dag(  # allow alert_of_tasks_only: the watch outside Airflow notices a heartbeat that is missing
    dag_display_name="Watch over all models",
    description="What no run can see of itself",
    doc_md=__doc__,
    schedule="*/5 * * * *",
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=20),
    # It watches from the first parse on: unpausing it would be forgotten.
    is_paused_upon_creation=False,
    tags=["retraining", "watch"],
    # No retries: the next run comes in five minutes.
    default_args={"retries": 0, "execution_timeout": timedelta(minutes=15)},
)
def watch_models() -> None:
    """Watch over all models."""

    @task(task_display_name="Resend notices")
    def resend_notices() -> int:
        return tasks.resend_notices()

    @task(task_display_name="Close dead runs")
    def close_dead_runs() -> list[str]:
        return tasks.close_dead_runs()

    @task(task_display_name="Stop lost jobs")
    def stop_lost_jobs() -> list[str]:
        return tasks.stop_lost_jobs()

    @task(task_display_name="Check models")
    def check_models() -> list[str]:
        return tasks.check_models()

    # It runs after the others however they ended, and fails if one of them did: a leaf that does
    # not would make the run green.
    @task(
        task_display_name="Write the heartbeat",
        trigger_rule="all_done",  # allow past_a_failure: it fails itself when one of them did
    )
    def write_heartbeat() -> None:
        tasks.write_heartbeat()

    [resend_notices(), close_dead_runs(), stop_lost_jobs(), check_models()] >> write_heartbeat()


watch_models()
