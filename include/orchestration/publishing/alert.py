"""The notice that champions could not be published because of this side."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from airflow.sdk import Context

from include.orchestration.callbacks.dag_alert import failure_alert
from include.orchestration.callbacks.send import deliver_notice
from include.orchestration.runtime.store import open_store
from include.retraining.exceptions import RetrainingError

log = logging.getLogger(__name__)


def notify_failed_publishing(context: Context) -> None:
    """Notify people, once a day, that a run of `publish_champions` failed. A callback of the DAG.

    Once a day: there is a run every five minutes, and the first message is enough.
    """
    notice = failure_alert(
        context,
        event="publishing",
        key=f"{datetime.now(UTC):%Y%m%d}",
        title="Publish champions",
        headline="champions could not be published",
        step="Read the log and fix the cause: the next run, in five minutes, catches up.",
    )
    try:
        deliver_notice(open_store(), notice)
    except RetrainingError as problem:  # the watch notifies of a store that does not answer
        log.warning("there is no outbox: %s", problem)
