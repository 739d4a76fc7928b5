"""Record that a cleared run continues, before its first task does anything."""

from __future__ import annotations

import logging

from airflow.sdk import Context

from include.orchestration.runtime.run_reference import run_reference
from include.orchestration.runtime.store import open_store
from include.orchestration.runtime.urls import airflow_url
from include.retraining.exceptions import RetrainingError

log = logging.getLogger(__name__)


def note_cleared(context: Context) -> None:
    """Record in the store that a task of a cleared run starts. The callback of tasks that execute.

    So the watch finds a run of any age that was cleared and then killed, and the closing of a run
    knows one of which nothing ran again. The run itself is recorded by its first task.
    """
    from include.retraining.runs.journal import record_run_start

    dag_run = context["dag_run"]
    if not dag_run.clear_number:
        return
    try:
        record_run_start(open_store(), run_reference(context), airflow=airflow_url())
    except RetrainingError as error:  # the task itself reports a failing store
        log.warning("it could not be recorded that the run continues: %s", error)
