"""What a connection that messages go through must hold, by its type."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

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

PAGERDUTY = "https://events.pagerduty.com"
"""The address of the Events API; a connection's host names another, such as that of the EU."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*|::1")


def check_alerts(connection: Any) -> None:
    """Refuse a connection that no message can go through.

    Raises:
        ConfigError: naming its type and those that are allowed, each field that is missing, or the
            one that cannot be used.
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
    if connection.conn_type == "pagerduty_events":
        pagerduty_address(connection)


def pagerduty_address(connection: Any) -> str:
    """Return the address of the Events API that a connection names, without a `/` at its end.

    Raises:
        ConfigError: when its host is no address, or events and their key would go there readable.
    """
    host = (connection.host or PAGERDUTY).strip()
    address = host if "://" in host else f"https://{host}"
    try:
        parts = urlsplit(address)
        name, _ = parts.hostname or "", parts.port  # a port that is none is a ValueError
    except ValueError:
        name = ""
    if not _HOST_NAME.fullmatch(name) or "@" in parts.netloc:
        raise ConfigError(f"its host must be an address such as {PAGERDUTY}")
    if parts.scheme != "https" and not (parts.scheme == "http" and name in _LOOPBACK):
        raise ConfigError(f"its host must begin with https://, such as {PAGERDUTY}")
    return address.rstrip("/")


def _field(connection: Any, name: str) -> Any:
    place, _, key = name.rpartition(".")
    return connection.extra_dejson.get(key) if place else getattr(connection, key)
