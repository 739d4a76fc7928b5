"""Slack by the names of Airflow's connections."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowNotFoundException

from include.orchestration.runtime.connections import why_missing
from include.retraining.exceptions import NotSent

if TYPE_CHECKING:
    from include.retraining.notifications.notice import Notice

log = logging.getLogger(__name__)


def send_to_slack(notice: Notice, connections: Sequence[str]) -> None:
    """Send a notice through the first `slackwebhook` connection that is open.

    The hook's client is used directly: a notifier would render the text as a template.

    Args:
        notice: the message.
        connections: their names, the best first. One that is missing or was revoked is followed by
            the next; anything else passes, so that the same one is tried again later.

    Raises:
        NotSent: when none of them took it.
    """
    closed: list[str] = []
    for connection in connections:
        try:
            _send(notice, connection)
        except NotSent as problem:
            if not problem.is_revoked:
                raise
            closed.append(f"{connection!r}: {problem}")
        else:
            if closed:
                log.error("notified %s instead: %s", connection, "; ".join(closed))
            return
    raise NotSent("; ".join(closed), is_revoked=True)


def _send(notice: Notice, connection: str) -> None:
    from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook

    from include.retraining.notifications.slack import TIMEOUT_SECONDS, quiet_logger, send

    hook = SlackWebhookHook(
        slack_webhook_conn_id=connection,
        timeout=int(TIMEOUT_SECONDS),
        retry_handlers=[],
        logger=quiet_logger(),
    )
    try:
        client = hook.client
    except AirflowNotFoundException as error:
        why = why_missing(connection)
        problem = (
            f"the Airflow connection {connection!r} has no password (the webhook)"
            if why is None
            else f"there is no Airflow connection {connection!r}: {why}"
        )
        raise NotSent(problem, is_revoked=True) from error
    send(client, notice)
