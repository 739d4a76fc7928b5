"""# Let runs promote again after a rollback.

A rollback holds automatic promotion: runs go on, and their versions do not serve. Trigger this when
what was wrong is mended, with a reason. What serves stays; the next run that passes its gates
promotes. To promote now, trigger the model's own DAG afterwards.

## Triage

- **Red**: nothing is on hold for this model, or what was typed is not allowed. Nothing changed.
- Clearing a run never releases twice: it finds what it did.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from include.orchestration.forms.request_form import release_params
from include.orchestration.notifications.manual_change import tell_of_failed_release
from include.orchestration.operators.release_hold import ReleaseHoldOperator

with DAG(
    dag_id="release_model",
    dag_display_name="Release a model",
    description="Let runs promote again after a rollback",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    params=release_params(),
    is_paused_upon_creation=False,  # as in rollback_model
    tags=["by hand"],
    on_failure_callback=tell_of_failed_release,
    default_args={
        "on_failure_callback": tell_of_failed_release,
        # A person waits, as in rollback_model.
        "retries": 2,
        "retry_delay": timedelta(seconds=5),
    },
) as dag:
    ReleaseHoldOperator(task_id="release_hold", task_display_name="Release the hold")
