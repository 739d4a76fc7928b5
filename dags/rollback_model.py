"""# Make an earlier version of a model the champion again.

Trigger this when the champion is bad. Nothing is trained and nothing is judged: a version that
served before becomes the champion again, and from then on **no run promotes** for this model, until
someone releases the hold with the DAG `release_model`.

1. Trigger it as it is: a **dry run** checks everything, smoke-tests the version, and ends green at
   "Dry run: nothing was changed", whose log and XCom say what would change. "Roll back" is skipped.
2. Trigger it again with **Dry run** switched off, and the **generation** that the dry run named: if
   another version has become the champion since, nothing happens. It takes well under a minute.

Leave the version empty for the previous champion. `python -m include.retraining history NAME` lists
every version that served. The reason is kept in the promotion log with your name, and Slack is
notified.

## Triage

- **Red at "Check the request"**: a parameter is not allowed, the version never served, or another
  version has become the champion since you asked. Nothing changed. The log's first error says
  which.
- **Red at "Smoke-test the version"**: its files are not the ones that served, or it does not load
  or predict. Nothing changed. Name another version.
- **Red at "Roll back"**: another entry was faster, or the store refused. Check which version is the
  champion now, and trigger the DAG again.
- Clearing a run never rolls back twice: it finds the entry that it made.
- To undo a rollback: roll back again, naming the version that served before it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import AssetAlias, dag, task

from include.orchestration.callbacks.manual_change import notify_failed_rollback
from include.orchestration.operators import rollback_tasks
from include.orchestration.operators.rollback_model import TryVersionOperator
from include.orchestration.trigger_forms.request_form import rollback_params

ROLLED_BACK = AssetAlias("rolled_back_champion")


@dag(
    dag_display_name="Roll back a model",
    description="Make an earlier version the champion again, and hold automatic promotion",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    params=rollback_params(),
    # In an emergency it must not turn out to be switched off.
    is_paused_upon_creation=False,
    tags=["manual"],
    on_failure_callback=[notify_failed_rollback],
    default_args={
        "on_failure_callback": [notify_failed_rollback],
        # Someone waits: not the five minutes that a retraining run leaves a store to come back.
        "retries": 2,
        "retry_delay": timedelta(seconds=5),
    },
)
def rollback_model() -> None:
    """Make an earlier version of a model the champion again."""

    @task(task_display_name="Check the request", multiple_outputs=False)
    def check_request() -> dict[str, Any]:
        return rollback_tasks.check_request()

    @task(task_display_name="Roll back", outlets=[ROLLED_BACK], multiple_outputs=False)
    def roll_back(plan: Any, tried: Any) -> dict[str, Any]:
        return rollback_tasks.roll_back(plan, tried, ROLLED_BACK)

    @task(task_display_name="Dry run: nothing was changed", multiple_outputs=False)
    def report_dry_run(plan: Any, tried: Any) -> str:
        return rollback_tasks.report_dry_run(plan, tried)

    plan = check_request()
    # An operator: it ends its child process when it is killed.
    try_version = TryVersionOperator(
        task_id="try_version", task_display_name="Smoke-test the version", plan=plan
    )
    # Nothing else leads to the rollback: a version that fails its smoke test never serves again.
    roll_back(plan, try_version.output)
    # One of the two runs and the other is skipped, so that a dry run is seen to be one.
    report_dry_run(plan, try_version.output)


rollback_model()
