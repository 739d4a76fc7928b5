"""Slack by the names of Airflow's connections."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from include.orchestration.runtime.connections import why_missing
from include.retraining.exceptions import NotSent

if TYPE_CHECKING:
    from slack_sdk.webhook import WebhookClient

    from include.retraining.notifications.notice import Notice

log = logging.getLogger(__name__)


def send_to_slack(notice: Notice, connections: Sequence[str]) -> None:
    """Send a notice through the first `slackwebhook` connection that is open.

    The client is used directly: a notifier would render the text as a template.

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
    from include.retraining.notifications.slack import send

    try:
        client = webhook_client(connection)
    except AirflowNotFoundException as error:
        why = why_missing(connection)
        problem = (
            f"the Airflow connection {connection!r} has no password (the webhook)"
            if why is None
            else f"there is no Airflow connection {connection!r}: {why}"
        )
        raise NotSent(problem, is_revoked=True) from error
    send(client, notice)


def webhook_client(connection: str) -> WebhookClient:
    """Return the client that the Slack provider's hook makes of a connection.

    The hook's module imports an asynchronous client beside it, and with that aiohttp: a quarter of
    a second of each task that notifies.

    Raises:
        AirflowNotFoundException: when there is no such connection, or it has no password.
    """
    from airflow.providers.slack.utils import ConnectionExtraConfig
    from slack_sdk.webhook.client import WebhookClient

    from include.retraining.notifications.slack import TIMEOUT_SECONDS, quiet_logger

    webhook = Connection.get(connection)
    url = (webhook.password or "").strip()
    if not url:
        raise AirflowNotFoundException(f"Connection ID {connection!r} does not contain password")
    if "://" not in url:
        base = webhook.host or ""
        if "://" not in base:
            base = f"{webhook.schema or 'https'}://{webhook.host or 'hooks.slack.com/services'}"
        url = f"{base.rstrip('/')}/{url.lstrip('/')}".rstrip("/")
    extra = ConnectionExtraConfig("slackwebhook", connection, webhook.extra_dejson)
    return WebhookClient(
        url,
        timeout=int(TIMEOUT_SECONDS),
        proxy=extra.get("proxy", default=None),
        retry_handlers=[],
        logger=quiet_logger(),
    )
