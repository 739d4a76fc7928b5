"""The notice that champions could not be published because of this side."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import Context

from include.orchestration.callbacks.send import deliver_notice
from include.orchestration.runtime.errors import explained
from include.orchestration.runtime.store import open_store
from include.orchestration.runtime.urls import repository_url, run_url
from include.retraining.exceptions import RetrainingError

log = logging.getLogger(__name__)


def notify_failed_publishing(context: Context) -> None:
    """Notify people, once a day, that a run of `publish_champions` failed. A callback of the DAG.

    Once a day: there is a run every five minutes, and the first message is enough.
    """
    from include.retraining.notifications.notice import Links, NoticeKind, alert

    dag_id, run_id, ti = context["dag"].dag_id, context["run_id"], context.get("ti")
    exception: Any = context.get("exception")
    why = "it ended without saying why" if exception is None else explained(exception)[1]
    notice = alert(
        event="publishing",
        kind=NoticeKind.BROKEN,
        key=f"{dag_id}.{datetime.now(UTC):%Y%m%d}.publishing",
        title="Publish champions",
        model="",
        headline="champions could not be published",
        why=why,
        step="Read the log and fix the cause: the next run, in five minutes, catches up.",
        owner=None,
        serving=None,
        links=Links(
            run=run_url(dag_id, run_id),
            log=getattr(ti, "log_url", None),
            repository=repository_url(context),
        ),
        runbook="publishing",
    )
    try:
        deliver_notice(open_store(), notice)
    except RetrainingError as problem:  # the watch notifies of a store that does not answer
        log.warning("there is no outbox: %s", problem)
