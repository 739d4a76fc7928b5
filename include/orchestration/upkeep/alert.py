"""The notice that upkeep failed."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import Context

from include.orchestration.callbacks.send import deliver_notice, send_notice
from include.orchestration.runtime.errors import explained
from include.orchestration.runtime.store import open_store
from include.orchestration.runtime.urls import repository_url, run_url
from include.retraining.exceptions import NotSent, RetrainingError

log = logging.getLogger(__name__)


def notify_failed_upkeep(context: Context) -> None:
    """Notify people once that a run of upkeep failed. A callback of tasks and DAGs."""
    from include.retraining.notifications.notice import Links, NoticeKind, alert

    dag_id, run_id, ti = context["dag"].dag_id, context["run_id"], context.get("ti")
    task = "the run" if ti is None else f"`{ti.task_id}`"
    exception: Any = context.get("exception")
    why = f"{task} ended without saying why" if exception is None else explained(exception)[1]
    notice = alert(
        event="upkeep",
        kind=NoticeKind.BROKEN,
        key=f"{dag_id}.{run_id}.upkeep",
        title="Upkeep",
        model="",
        headline=f"{task} failed: Airflow's database and the store grow until it works again",
        why=why,
        step="Read the log, fix the cause, then clear the failed task. It can wait for days.",
        owner=None,
        serving=None,
        links=Links(
            run=run_url(dag_id, run_id),
            log=getattr(ti, "log_url", None),
            repository=repository_url(context),
        ),
        runbook="upkeep",
    )
    try:
        deliver_notice(open_store(), notice)
    except RetrainingError as problem:
        log.warning("there is no outbox: %s", problem)
        try:
            send_notice(notice)
        except NotSent as error:
            log.error("nobody was notified: %s", error)  # noqa: TRY400 one clear line
