"""# Silence messages about a model for a while.

Trigger this when messages of a kind are known and being worked on: choose the model, the kind of
message and for how many hours, at most two weeks, and say why. Runs, gates and promotions go on as
before; only the messages are not sent. Each stays in the store's `outbox/`, and one message lists
them when the silence is over. It shows on the pages and in `python -m include.retraining why NAME`
for as long as it lasts.

To end a silence early, trigger it again with the action **end**.

## Triage

- **Red**: a parameter is not allowed, or there is no silence to end. Nothing changed. The log's
  first error says which.
- Clearing a run never silences twice: it finds the entry that it made.
- Messages about Airflow itself or about upkeep are of no model, and cannot be silenced.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task

from include.orchestration.callbacks.manual_change import notify_failed_silence
from include.orchestration.operators import silence_tasks
from include.orchestration.trigger_forms.silence_form import silence_params


@dag(
    dag_display_name="Silence messages",
    description="Send no messages of a kind about a model for a while",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    params=silence_params(),
    is_paused_upon_creation=False,  # as in rollback_model
    tags=["manual"],
    on_failure_callback=[notify_failed_silence],
    default_args={
        "on_failure_callback": [notify_failed_silence],
        # Someone waits, as in rollback_model.
        "retries": 2,
        "retry_delay": timedelta(seconds=5),
    },
)
def silence_alerts() -> None:
    """Silence messages about a model for a while."""

    @task(task_display_name="Change the silence", multiple_outputs=False)
    def change_silence() -> dict[str, Any]:
        return silence_tasks.change_silence()

    change_silence()


silence_alerts()
