"""By when a model's run must have decided: some time after its start, or a time of day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_AFTER_START = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(s|min|h|d) after start")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]) (\S+)")
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
ALLOWED = "'3h after start' (s, min, h or d) or a time of day with its zone, '06:00 Europe/Paris'"


@dataclass(frozen=True)
class AfterStart:
    """So long after the run was started. Airflow itself watches over it."""

    interval: timedelta


@dataclass(frozen=True)
class TimeOfDay:
    """The first time the clock reads so after the run was due. It needs no run to be late."""

    at: time
    zone: ZoneInfo

    def after(self, due: datetime) -> datetime:
        """Return by when a run must have decided.

        Args:
            due: when the run was due.
        """
        day = due.astimezone(self.zone).date()
        deadline = datetime.combine(day, self.at, self.zone)
        if deadline > due:
            return deadline
        return datetime.combine(day + timedelta(days=1), self.at, self.zone)

    def latest(self, now: datetime) -> datetime:
        """Return when the clock last read so."""
        day = now.astimezone(self.zone).date()
        today = datetime.combine(day, self.at, self.zone)
        if today <= now:
            return today
        return datetime.combine(day - timedelta(days=1), self.at, self.zone)


def parse_deadline(text: str) -> AfterStart | TimeOfDay:
    """Read a deadline as a model's YAML gives it.

    Raises:
        ValueError: saying what is allowed.
    """
    if match := _AFTER_START.fullmatch(text):
        interval = timedelta(seconds=float(match[1]) * _UNITS[match[2]])
        if timedelta(0) < interval <= timedelta(days=30):
            return AfterStart(interval)
        raise ValueError(f"{text!r} must be more than nothing and at most 30 days")
    if match := _CLOCK.fullmatch(text):
        try:
            return TimeOfDay(time(int(match[1]), int(match[2])), ZoneInfo(match[3]))
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(
                f"{match[3]!r} is not an IANA time zone such as Europe/Paris"
            ) from error
    raise ValueError(f"{text!r} is not a deadline; allowed: {ALLOWED}")
