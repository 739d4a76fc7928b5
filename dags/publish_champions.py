"""# Publish champions.

Keeps what a model's YAML names under `publish:` in step with its promotion log: MLflow, a pointer
file, a webhook. It starts when a model has another champion, and every five minutes besides: then
each target is compared with the log. Runs of the models wait for nothing of it.

## Triage

- **Green with lines in its result**: a target does not answer or was changed by someone else. It is
  tried again in five minutes, and after a quarter of an hour Slack is notified. See
  `docs/runbooks/publishing.md`.
- **Red**: the store, or a model's promotion log, cannot be read. The log's first error is one
  sentence. The next run tries again by itself.
- To publish nothing for a while, pause this DAG: what was missed is caught up with.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import (  # type: ignore[attr-defined]
    AssetAny,
    AssetOrTimeSchedule,
    CronTriggerTimetable,
    dag,
    get_parsing_context,
    task,
)

from include.orchestration.operators.champion_asset import champion_asset
from include.orchestration.publishing import tasks
from include.orchestration.publishing.alert import notify_failed_publishing

DAG_ID = "publish_champions"
# A task of another DAG pays for no search through all models.
PUBLISHED = tasks.published_models() if get_parsing_context().dag_id in {None, DAG_ID} else []


@dag(
    dag_id=DAG_ID,
    dag_display_name="Publish champions",
    description="Keep other systems in step with the promotion logs",
    doc_md=__doc__,
    # The clock behind the assets: an event may be lost, and a target may be changed by others.
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("*/5 * * * *", timezone="UTC", run_immediately=timedelta(0)),
        assets=AssetAny(*map(champion_asset, PUBLISHED)),
    ),
    catchup=False,
    max_active_runs=1,  # of two senders, one might send an older entry later
    dagrun_timeout=timedelta(minutes=20),
    # It works from the first parse on: unpausing it would be forgotten.
    is_paused_upon_creation=False,
    tags=["retraining", "publishing"],
    on_failure_callback=[notify_failed_publishing],
    # No retries: the next run comes in five minutes.
    default_args={"retries": 0, "execution_timeout": timedelta(minutes=15)},
)
def publish_champions() -> None:
    """Publish champions."""

    @task(task_display_name="Publish champions")
    def publish() -> list[str]:
        return tasks.publish_champions()

    publish()


if PUBLISHED:  # where nothing is published, there is no such DAG
    publish_champions()
