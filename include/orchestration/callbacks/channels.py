"""The channel of a message: the type of its Airflow connection decides."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from include.orchestration.callbacks import json_post, mail, pagerduty, slack
from include.orchestration.runtime.connections import why_missing
from include.retraining.exceptions import NotSent

if TYPE_CHECKING:
    from include.retraining.notifications.notice import Notice
    from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)

Channel = Callable[["Notice", Connection, "Store | None"], None]
CHANNELS: dict[str, Channel] = {
    "slackwebhook": slack.send_by_webhook,
    "slack": slack.send_by_api,
    "pagerduty_events": pagerduty.send,
    "smtp": mail.send,
    "http": json_post.send,
}
# What an outcome changes where other messages on its topic went.
CLOSING: dict[str, Channel] = {"slack": slack.close, "pagerduty_events": pagerduty.resolve}


def send_through(notice: Notice, connections: Sequence[str], store: Store | None = None) -> None:
    """Send a notice through the first of several connections that is open.

    Airflow's notifiers are not used: they would render the text as a template.

    Args:
        notice: the message.
        connections: their names, the best first. One that is missing or was revoked is followed by
            the next; anything else passes, so that the same one is tried again later.
        store: keeps which message of a topic was the first; without one no message is a reply.

    Raises:
        NotSent: when none of them took it.
    """
    closed: list[str] = []
    for name in connections:
        try:
            connection = _connection(name)
            _channel(connection)(notice, connection, store)
        except NotSent as problem:
            if not problem.is_revoked:
                raise
            closed.append(f"{name!r}: {problem}")
        else:
            if closed:
                log.error("notified %s instead: %s", name, "; ".join(closed))
            return
    raise NotSent("; ".join(closed), is_revoked=True)


def close_elsewhere(notice: Notice, connections: Sequence[str], store: Store) -> None:
    """Do what a topic's outcome changes in the channels that its own message does not go to.

    The first message of a thread is edited, an incident is resolved. Safe to repeat.

    Args:
        notice: an outcome.
        connections: the other connections of its model.
        store: as in `send_through`.

    Raises:
        NotSent: when one does not answer; one that is closed for good is logged.
    """
    for name in connections:
        try:
            connection = _connection(name)
            close = CLOSING.get(connection.conn_type or "")
            if close is not None:
                close(notice, connection, store)
        except NotSent as problem:
            if not problem.is_revoked:
                raise
            log.warning("what %s says stays as it is: %s", name, problem)


def _connection(name: str) -> Connection:
    try:
        connection: Connection = Connection.get(name)
    except AirflowNotFoundException as error:
        problem = f"there is no Airflow connection {name!r}: {why_missing(name)}"
        raise NotSent(problem, is_revoked=True) from error
    return connection


def _channel(connection: Connection) -> Channel:
    channel = CHANNELS.get(connection.conn_type or "")
    if channel is None:
        raise NotSent(
            f"the Airflow connection {connection.conn_id!r} has the type "
            f"{connection.conn_type!r}; allowed are {', '.join(CHANNELS)}",
            is_revoked=True,
        )
    return channel
