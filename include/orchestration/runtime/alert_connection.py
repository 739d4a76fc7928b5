"""What a connection that messages go through must hold, by its type."""

from __future__ import annotations

from typing import Any

from include.retraining.exceptions import ConfigError

ALERT_FIELDS: dict[str, dict[str, str]] = {
    "slackwebhook": {"password": "the webhook's path (T…/B…/…)"},
    "slack": {"password": "the bot's token (xoxb-…)", "extra.channel": "the channel's id (C…)"},
    "pagerduty_events": {"password": "the service's integration key"},
    "smtp": {
        "host": "the mail server",
        "extra.from_email": "the sender's address",
        "extra.to": "the recipients' addresses, separated by commas,",
    },
    "http": {"host": "the receiver's address (https://HOST/PATH)"},
}
"""By type, the fields of the connection and of its extra, and what belongs there."""


def check_alerts(connection: Any) -> None:
    """Refuse a connection that no message can go through.

    Raises:
        ConfigError: naming its type and those that are allowed, or each field that is missing.
    """
    fields = ALERT_FIELDS.get(connection.conn_type)
    if fields is None:
        allowed = ", ".join(map(repr, ALERT_FIELDS))
        raise ConfigError(f"its type is {connection.conn_type!r}, must be one of {allowed}")
    missing = [
        f"it has no {name}: that is where {meaning} belongs"
        for name, meaning in fields.items()
        if not _field(connection, name)
    ]
    if missing:
        raise ConfigError("; ".join(missing))


def _field(connection: Any, name: str) -> Any:
    place, _, key = name.rpartition(".")
    return connection.extra_dejson.get(key) if place else getattr(connection, key)
