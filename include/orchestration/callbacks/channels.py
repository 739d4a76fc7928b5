"""The channel of a message: the type of its Airflow connection decides."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
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
PAGER = "pagerduty_events"
# What an outcome changes where messages on its topic went, in this order.
CLOSING: dict[str, Channel] = {PAGER: pagerduty.resolve, "slack": slack.close}
BEGIN_SECONDS = 30.0
"""Nothing more is begun after it; what was begun takes ten seconds (`outbox.CLAIM_SECONDS`)."""
EDIT_FOR = timedelta(days=1)
"""How long an edit is tried: one that is never possible must not wait for ever."""


def send_through(
    notice: Notice,
    connections: Sequence[str],
    store: Store | None = None,
    *,
    ended: Notice | None = None,
) -> None:
    """Send a notice through the first of several connections that is open.

    Airflow's notifiers are not used: they would render the text as a template.

    Args:
        notice: the message.
        connections: their names, the best first. One that is missing or was revoked is followed by
            the next; anything else passes, so that the same one is tried again later.
        store: keeps which message of a topic was the first; without one no message is a reply.
        ended: how the topic ended since: its incident is then resolved and not opened again.

    Raises:
        NotSent: when none of them took it.
    """
    closed: list[str] = []
    for name in connections:
        try:
            connection = _connection(name)
            about = ended if ended is not None and connection.conn_type == PAGER else notice
            _channel(connection)(about, connection, store)
        except NotSent as problem:
            if not problem.is_revoked:
                raise
            closed.append(f"{name!r}: {problem}")
        else:
            if closed:
                log.error("notified %s instead: %s", name, "; ".join(closed))
            return
    raise NotSent("; ".join(closed), is_revoked=True)


def can_close(connections: Sequence[str]) -> bool:
    """Return whether an outcome changes anything in some channel beside its own message."""
    return any(_kind_of(name) in CLOSING for name in connections)


def close(outcome: Notice, connections: Sequence[str], store: Store) -> None:
    """Do what a topic's outcome changes in all channels: pagers first, then first messages.

    Each is tried, whatever another answers. Safe to repeat.

    Args:
        outcome: as it was sent.
        connections: those of its model.
        store: as in `send_through`.

    Raises:
        NotSent: when one does not answer. One that is closed for good is logged, and so is an edit
            that was not possible for a day.
    """
    end = time.monotonic() + BEGIN_SECONDS
    kinds = {name: _kind_of(name) for name in connections}
    problems: list[NotSent] = []
    for name in (name for name, kind in kinds.items() if kind is None):
        log.warning("what %s says stays as it is: there is no such connection", name)
    for kind, close_one in CLOSING.items():
        for name in (name for name, had in kinds.items() if had == kind):
            if time.monotonic() >= end:
                problems.append(NotSent(f"{name!r} was not asked within {BEGIN_SECONDS:g} s"))
                continue
            try:
                close_one(outcome, _connection(name), store)
            except NotSent as problem:
                is_too_late = kind != PAGER and datetime.now(UTC) - outcome.created_at > EDIT_FOR
                if problem.is_revoked or is_too_late:
                    log.warning("what %s says stays as it is: %s", name, problem)
                else:
                    problems.append(problem)
    if problems:
        raise problems[0]


def _kind_of(name: str) -> str | None:
    """Return the type of a connection; None when there is none."""
    try:
        return _connection(name).conn_type
    except NotSent:
        return None


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
