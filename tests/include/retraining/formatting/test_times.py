"""Times as readers see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from include.retraining.formatting.times import utc_minute


def test_a_time_is_shown_in_utc() -> None:
    """A moment of any time zone is shown to the minute, in UTC."""
    there = datetime(2026, 1, 2, 0, 30, 59, tzinfo=timezone(timedelta(hours=2)))
    assert utc_minute(there) == "2026-01-01 22:30 UTC"
    assert utc_minute(there.astimezone(UTC)) == utc_minute(there)
