"""Calling a run's callbacks as Airflow does, and its light tasks with a context of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from airflow.sdk import Context
from airflow.sdk.execution_time.context import set_current_context

from include.orchestration.callbacks.notifiers import DecisionNotifier
from include.orchestration.callbacks.run_ended import record_run_end, stop_run_jobs

log = logging.getLogger(__name__)

ENDED: list[Any] = [record_run_end, DecisionNotifier()]
FAILED: list[Any] = [*ENDED, stop_run_jobs]
"""Those of the DAG file, which a test of it compares with these."""


def end_run(context: Context) -> None:
    """Call what Airflow calls when a task has failed for good, or its run has ended.

    One after the other, each tried on its own, as `task_runner` and `processor` do.
    """
    is_failed_run = context.get("reason") not in {None, "success"}
    for callback in FAILED if is_failed_run else ENDED:
        try:
            callback(context)
        except Exception:
            log.exception("the callback failed")


def run_in(context: Context, act: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what the deed of a task returns, with this context as the running task's."""
    with set_current_context(context):
        return act(*args, **kwargs)
