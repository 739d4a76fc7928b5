"""Deadlines: what a YAML may say, and when that is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.retraining.config.deadline import AfterStart, TimeOfDay, parse_deadline
from include.retraining.config.model import ModelConfig
from tests.support.run_factory import CONFIG

BY_SIX = "06:00 Europe/Paris"


def clock(text: str = BY_SIX) -> TimeOfDay:
    """A deadline by the clock."""
    deadline = parse_deadline(text)
    assert isinstance(deadline, TimeOfDay)
    return deadline


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s after start", 90), ("15 min after start", 900), ("1.5h after start", 5400)],
)
def test_an_interval_counts_from_the_start(text: str, seconds: float) -> None:
    """Seconds, minutes, hours and days are units."""
    assert parse_deadline(text) == AfterStart(timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "3h",
        "0h after start",
        "31d after start",
        "6:00 UTC",
        "25:00 UTC",
        "06:00",
        "06:00 X",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """The error says what is wrong or what is allowed."""
    with pytest.raises(ValueError, match=r"allowed|IANA|30 days"):
        parse_deadline(text)


def test_a_time_of_day_is_the_first_after_the_run_was_due() -> None:
    """Due in the evening: the next morning; due at night: the same morning, in that zone."""
    evening = datetime(2026, 11, 26, 20, tzinfo=UTC)
    night = datetime(2026, 11, 27, 1, tzinfo=UTC)
    six = datetime(2026, 11, 27, 5, tzinfo=UTC)  # Paris is an hour ahead in winter
    assert clock().after(evening) == clock().after(night) == six
    assert clock().after(six) == six + timedelta(days=1)


def test_the_clock_follows_daylight_saving() -> None:
    """Six o'clock is six o'clock on the day the clocks change."""
    before = datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert clock().after(before) == datetime(2026, 10, 25, 5, tzinfo=UTC)


def test_the_latest_is_today_once_it_has_passed() -> None:
    """Before six it is yesterday's, from six on today's."""
    six = datetime(2026, 11, 27, 5, tzinfo=UTC)
    assert clock().latest(six) == six
    assert clock().latest(six - timedelta(seconds=1)) == six - timedelta(days=1)


def test_a_model_started_by_hand_has_no_deadline_by_the_clock() -> None:
    """No run of it is ever due."""
    values = CONFIG.model_dump(mode="json", by_alias=True) | {"deadline": BY_SIX}
    assert ModelConfig.model_validate(values).deadline == BY_SIX
    values["trigger"] = {**values["trigger"], "schedule": None}
    with pytest.raises(ValueError, match=r"trigger\.schedule"):
        ModelConfig.model_validate(values)


def test_a_wrong_deadline_is_an_error_of_its_field() -> None:
    """The error names the field and what is allowed."""
    values = CONFIG.model_dump(mode="json", by_alias=True) | {"deadline": "tomorrow"}
    with pytest.raises(ValueError, match=r"(?s)deadline.*3h after start"):
        ModelConfig.model_validate(values)
