"""PagerDuty by an Airflow connection of the type `pagerduty_events`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow.sdk import Connection

from include.orchestration.runtime.alert_connection import pagerduty_address
from include.retraining.exceptions import ConfigError, NotSent

if TYPE_CHECKING:
    from include.retraining.notifications.notice import Notice
    from include.retraining.store.object_store import Store


def resolve(notice: Notice, connection: Connection, store: Store | None) -> None:
    """Resolve the incident of a topic, where its outcome does: a broken one opens none here.

    Raises:
        NotSent: when PagerDuty did not accept it, or that is unknown.
    """
    from include.retraining.notifications.incident import incident_of

    if incident_of(notice).action == "resolve":
        send(notice, connection, store)


def send(notice: Notice, connection: Connection, store: Store | None) -> None:
    """Open or resolve the incident of a notice's topic. Safe to repeat.

    The provider makes the event; its client would wait longer for an answer than a task may.

    Raises:
        NotSent: when PagerDuty did not accept it, or that is unknown.
    """
    from airflow.providers.pagerduty.hooks.pagerduty_events import prepare_event_data

    from include.orchestration.callbacks.json_post import post_json
    from include.retraining.notifications.incident import incident_of
    from include.retraining.notifications.time_limit import TIMEOUT_SECONDS

    del store
    key = (connection.password or "").strip()
    if not key:
        raise NotSent(
            f"the Airflow connection {connection.conn_id!r} has no password (the integration key)",
            is_revoked=True,
        )
    try:
        address = pagerduty_address(connection)
    except ConfigError as error:
        problem = f"the Airflow connection {connection.conn_id!r}: {error}"
        raise NotSent(problem, is_revoked=True) from None
    incident = incident_of(notice)
    event: dict[str, Any] = prepare_event_data(
        summary=incident.summary,
        severity=incident.severity,
        custom_details=incident.details,
        class_type=notice.event,
        component=notice.model,
        action=incident.action,
        dedup_key=incident.dedup_key,
        links=incident.links,
        action_key_name="event_action",
    )
    post_json(
        f"{address}/v2/enqueue",
        {"routing_key": key, **event},
        what="PagerDuty",
        end=time.monotonic() + TIMEOUT_SECONDS,
    )
