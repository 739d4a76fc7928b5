"""# Let runs promote again after a rollback.

A rollback holds automatic promotion: runs go on, and promote nothing. Trigger this once the cause
is mended, with a reason. The champion stays; the next run that passes its gates promotes. To
promote now, trigger the model's own DAG afterwards.

## Triage

- **Red**: nothing is on hold for this model, or a parameter is not allowed. Nothing changed.
- Clearing a run never releases twice: it finds the entry that it made.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task

from include.orchestration.callbacks.manual_change import notify_failed_release
from include.orchestration.operators import rollback_tasks
from include.orchestration.trigger_forms.request_form import release_params


@dag(
    dag_display_name="Release a model",
    description="Let runs promote again after a rollback",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    params=release_params(),
    is_paused_upon_creation=False,  # as in rollback_model
    tags=["manual"],
    on_failure_callback=[notify_failed_release],
    default_args={
        "on_failure_callback": [notify_failed_release],
        # Someone waits, as in rollback_model.
        "retries": 2,
        "retry_delay": timedelta(seconds=5),
    },
)
def release_model() -> None:
    """Let runs promote again after a rollback."""

    @task(task_display_name="Release the hold", multiple_outputs=False)
    def release_hold() -> dict[str, Any]:
        return rollback_tasks.release_hold()

    release_hold()


release_model()
