"""# Let an earlier version of a model serve again.

Trigger this when the version that serves is bad. Nothing is trained and nothing is judged: a
version that served before serves again, and from then on **no run promotes** for this model, until
someone releases that with the DAG `release_model`.

1. Trigger it as it is: a **dry run** checks everything, tries the version, and says in the log of
   "Roll back" what would change. That task is then skipped.
2. Trigger it again with **Dry run** switched off, and the **generation** that the dry run named: if
   something else serves by then, nothing happens. It takes well under a minute.

Leave the version empty for the champion before the one that serves. Any other version that served
is named in `python -m include.retraining history NAME`. The reason is kept in the promotion log
with your name, and Slack hears about it.

## Triage

- **Red at "See what would change"**: what was typed is not allowed, the version never served, or
  another version serves since you asked. Nothing changed. The log's first error says which.
- **Red at "Try the version"**: its files are not what served, or it does not load or answer.
  Nothing changed. Name another version.
- **Red at "Roll back"**: another entry was faster, or the store refused. Check the champion and
  trigger it again.
- Clearing a run never rolls back twice: it finds what it did.
- To undo a rollback: roll back again, naming the version that served before it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import AssetAlias, dag, task

from include.orchestration.forms.request_form import rollback_params
from include.orchestration.notifications.manual_change import notify_failed_rollback
from include.orchestration.operators import rollback_tasks
from include.orchestration.operators.rollback_model import TryVersionOperator

ROLLED_BACK = AssetAlias("rolled_back_champion")


@dag(
    dag_display_name="Roll back a model",
    description="Let an earlier version serve again, and hold automatic promotion",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    params=rollback_params(),
    # In an emergency it must not turn out to be switched off.
    is_paused_upon_creation=False,
    tags=["by hand"],
    on_failure_callback=[notify_failed_rollback],
    default_args={
        "on_failure_callback": [notify_failed_rollback],
        # Someone waits: not the five minutes that a retraining run leaves a store to come back.
        "retries": 2,
        "retry_delay": timedelta(seconds=5),
    },
)
def rollback_model() -> None:
    """Let an earlier version of a model serve again."""

    @task(task_display_name="See what would change", multiple_outputs=False)
    def check_request() -> dict[str, Any]:
        return rollback_tasks.check_request()

    @task(task_display_name="Roll back", outlets=[ROLLED_BACK], multiple_outputs=False)
    def roll_back(plan: Any, tried: Any) -> dict[str, Any]:
        return rollback_tasks.roll_back(plan, tried, ROLLED_BACK)

    plan = check_request()
    # An operator: it ends its child process when it is killed.
    try_version = TryVersionOperator(
        task_id="try_version", task_display_name="Try the version", plan=plan
    )
    # Nothing else leads to the rollback: a version that does not answer never serves again.
    roll_back(plan, try_version.output)


rollback_model()
