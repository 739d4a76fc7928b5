"""Slack by Airflow's connections: an incoming webhook (`slackwebhook`), or a bot (`slack`)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow.sdk import Connection

from include.retraining.exceptions import NotSent

if TYPE_CHECKING:
    from slack_sdk import WebClient
    from slack_sdk.webhook import WebhookClient

    from include.retraining.notifications.notice import Notice
    from include.retraining.notifications.slack_api import SlackChannel
    from include.retraining.store.object_store import Store


def send_by_webhook(notice: Notice, connection: Connection, store: Store | None) -> None:
    """Send a notice through an incoming webhook, which knows no threads.

    Raises:
        NotSent: when it did not arrive, or that is unknown.
    """
    from include.retraining.notifications.slack import send

    del store
    send(webhook_client(connection), notice)


def send_by_api(notice: Notice, connection: Connection, store: Store | None) -> None:
    """Send a notice as a bot, in the thread of its topic where there is a store.

    Raises:
        NotSent: when it did not arrive, or that is unknown.
    """
    from include.retraining.notifications.slack import message_of
    from include.retraining.notifications.slack_threads import send_in_thread

    channel = _channel(connection)
    if store is None:
        channel.post(message_of(notice))
    else:
        send_in_thread(store, channel, connection.conn_id, notice)


def close(notice: Notice, connection: Connection, store: Store | None) -> None:
    """Edit the first message of a topic to its outcome, where one went to this channel.

    Raises:
        NotSent: when it was not edited, or that is unknown.
    """
    from include.retraining.notifications.slack_threads import close_thread

    if store is not None:
        close_thread(store, _channel(connection), connection.conn_id, notice)


def webhook_client(connection: Connection) -> WebhookClient:
    """Return the client that the Slack provider's hook makes of a connection.

    The hook's module imports an asynchronous client beside it, and with that aiohttp: a quarter of
    a second of each task that notifies.

    Raises:
        NotSent: when it has no password.
    """
    from airflow.providers.slack.utils import ConnectionExtraConfig
    from slack_sdk.webhook.client import WebhookClient

    from include.retraining.notifications.slack import quiet_logger
    from include.retraining.notifications.time_limit import TIMEOUT_SECONDS

    url = _password(connection, "the webhook")
    if "://" not in url:
        base = connection.host or ""
        if "://" not in base:
            host = connection.host or "hooks.slack.com/services"
            base = f"{connection.schema or 'https'}://{host}"
        url = f"{base.rstrip('/')}/{url.lstrip('/')}".rstrip("/")
    extra = ConnectionExtraConfig("slackwebhook", connection.conn_id, connection.extra_dejson)
    return WebhookClient(
        url,
        timeout=int(TIMEOUT_SECONDS),
        proxy=extra.get("proxy", default=None),
        retry_handlers=[],
        logger=quiet_logger(),
    )


def api_client(connection: Connection) -> WebClient:
    """Return the client that the Slack provider's hook makes of a connection, as above.

    Raises:
        NotSent: when it has no password.
    """
    from airflow.providers.slack.utils import ConnectionExtraConfig
    from slack_sdk.web.client import WebClient

    from include.retraining.notifications.slack import quiet_logger
    from include.retraining.notifications.time_limit import TIMEOUT_SECONDS

    extra = ConnectionExtraConfig("slack", connection.conn_id, connection.extra_dejson)
    base_url = extra.get("base_url", default=None)
    return WebClient(
        token=_password(connection, "the bot's token"),
        timeout=int(TIMEOUT_SECONDS),
        proxy=extra.get("proxy", default=None),
        retry_handlers=[],
        logger=quiet_logger(),
        **({"base_url": base_url} if base_url else {}),
    )


def _channel(connection: Connection) -> SlackChannel:
    from include.retraining.notifications.slack_api import SlackChannel
    from include.retraining.notifications.time_limit import TIMEOUT_SECONDS

    name = connection.extra_dejson.get("channel")
    if not isinstance(name, str) or not name:
        raise NotSent(
            f"the Airflow connection {connection.conn_id!r} names no channel: its extra must hold "
            '{"channel": "C0123456789"}',
            is_revoked=True,
        )
    return SlackChannel(api_client(connection), name, time.monotonic() + TIMEOUT_SECONDS)


def _password(connection: Connection, what: str) -> str:
    password = (connection.password or "").strip()
    if not password:
        raise NotSent(
            f"the Airflow connection {connection.conn_id!r} has no password ({what})",
            is_revoked=True,
        )
    return password
