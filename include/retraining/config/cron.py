"""Whether a schedule is one that comes, as Airflow reads it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from croniter import croniter  # type: ignore[import-untyped]
from croniter.croniter import CroniterBadCronError, CroniterBadDateError  # type: ignore[import-untyped]


def schedule_problem(schedule: str) -> str | None:
    """Return why a cron expression is no time that comes, in words; None when it is one."""
    allowed = "allowed: five fields, for example '0 6 * * 1-5' for 6:00 on weekdays"
    if re.search(r"\b[HR]\b", schedule):
        return f"{schedule!r} is drawn by chance by each process that reads it; {allowed}"
    try:
        croniter(schedule, datetime.now(UTC)).get_next(datetime)
    except CroniterBadDateError:
        return f"{schedule!r} never comes; {allowed}"
    except (CroniterBadCronError, ValueError, KeyError, AttributeError):
        return f"{schedule!r} is not a time that comes; {allowed}"
    return None
