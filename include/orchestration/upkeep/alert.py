"""The notice that upkeep failed."""

from __future__ import annotations

import logging

from airflow.sdk import Context

from include.orchestration.callbacks.dag_alert import failure_alert
from include.orchestration.callbacks.send import deliver_notice, send_notice
from include.orchestration.runtime.store import open_store
from include.retraining.exceptions import NotSent, RetrainingError

log = logging.getLogger(__name__)


def notify_failed_upkeep(context: Context) -> None:
    """Notify people once that a run of upkeep failed. A callback of tasks and DAGs."""
    ti = context.get("ti")
    task = "the run" if ti is None else f"`{ti.task_id}`"
    notice = failure_alert(
        context,
        event="upkeep",
        key=context["run_id"],
        title="Upkeep",
        headline=f"{task} failed: Airflow's database and the store grow until it works again",
        step="Read the log, fix the cause, then clear the failed task. It can wait for days.",
    )
    try:
        deliver_notice(open_store(), notice)
    except RetrainingError as problem:
        log.warning("there is no outbox: %s", problem)
        try:
            send_notice(notice)
        except NotSent as error:
            log.error("nobody was notified: %s", error)  # noqa: TRY400 one clear line
