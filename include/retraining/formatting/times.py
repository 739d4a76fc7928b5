"""Times, formatted for readers."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_minute(moment: datetime) -> str:
    """Return a moment with a time zone, to the minute and in UTC: `2026-01-02 03:04 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
