"""The trigger form of a retraining run, checked by its schema and again in code.

The schema alone is not enough: Airflow passes unknown keys on, and another entry point (an asset
event, another DAG) may skip it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow.sdk import Context, Param

from include.orchestration.runtime.events import EVENT, announced_days, run_type
from include.orchestration.runtime.run_reference import model_of
from include.retraining.approval.reason import REASON_HINT, REASON_LENGTH, REASON_PATTERN, refusal
from include.retraining.config.trigger import Trigger
from include.retraining.exceptions import ParameterError
from include.retraining.store.redaction import redact

if TYPE_CHECKING:
    from include.retraining.runs.manifest import Params

OLDEST_DAYS = 400
MAX_BYTES = 4096
"""All that a form can hold is far below; what is above was not typed into it."""
# Folded in the form until someone opens them: a usual run needs neither.
OTHER_DATA = "Data of another day"
BY_FORCE = "Although nothing changed"


def run_params() -> dict[str, Param]:
    """Return the fields of the trigger form."""
    return {
        "dry_run": Param(
            False,
            type="boolean",
            title="Dry run",
            description="On: everything is checked, trained and judged as usual and the answer is "
            "kept, but the champion stays, and the delivery is not used up. Off: a version that "
            "passes every gate serves.",
        ),
        "reason": Param(
            None,
            type=["null", "string"],
            maxLength=REASON_LENGTH,
            pattern=REASON_PATTERN,
            title="Reason",
            description=f"Why you start this run; it is kept in the decision record. {REASON_HINT}",
        ),
        "date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Date of the data",
            description="Empty: the run's own date, in the model's time zone. Not in the future, "
            f"at most {OLDEST_DAYS} days back. Data older than the champion's never "
            "serves, unless by force.",
            section=OTHER_DATA,
        ),
        "force_retrain": Param(
            False,
            type="boolean",
            title="Retrain by force",
            description="Train even if data, code and configuration are unchanged, and accept a "
            "flag that was decided on before. It may promote older data. Needs a reason.",
            section=BY_FORCE,
        ),
    }


def read_params(context: Context, trigger: Trigger, *, recorded: date | None = None) -> Params:
    """Return a run's resolved parameters.

    Args:
        context: the task's context.
        trigger: the model's; the run's own date is taken in its time zone, and is that of the flag
            where an event started the run.
        recorded: the day that was noted when the run began: a retry and a clear keep it.

    Raises:
        ParameterError: naming the parameter, what is wrong with it and what is allowed.
    """
    timezone = trigger.timezone
    dag_run, now = context["dag_run"], datetime.now(UTC)
    given = {**dict(context["params"]), **(dag_run.conf or {})}
    if given.get("date") is None and is_of_a_flags_day(context, trigger):
        day = recorded or announced_day(context, trigger)
        given["date"] = None if day is None else day.isoformat()
    return resolve_params(given, run_after=dag_run.run_after, now=now, timezone=timezone)


def is_of_a_flags_day(context: Context, trigger: Trigger) -> bool:
    """Return whether a run works on the day of the flag that an event announced."""
    return run_type(context["dag_run"]) == EVENT and "{date}" in trigger.flag


def announced_day(context: Context, trigger: Trigger) -> date | None:
    """Return the newest day of which a flag landed, None when none did.

    So an event that comes late takes no model back to older data.
    """
    today = datetime.now(ZoneInfo(trigger.timezone)).date()
    days = announced_days(context, model_of(context["dag_run"].dag_id))
    oldest = today - timedelta(days=OLDEST_DAYS)
    return max((day for day in days if oldest <= day <= today), default=None)


def resolve_params(
    given: Mapping[str, Any], *, run_after: datetime, now: datetime, timezone: str
) -> Params:
    """Check parameters and fill in what was left open.

    Raises:
        ParameterError: naming the parameter, what is wrong with it and what is allowed.
    """
    from include.retraining.runs.manifest import Params

    refuse_unknown(given, run_params())
    zone = ZoneInfo(timezone)
    force_retrain = boolean("force_retrain", given.get("force_retrain", False))
    reason = reason_text(given.get("reason"))
    if force_retrain and reason is None:
        raise ParameterError("force_retrain needs a reason: say why in the parameter `reason`")
    return Params(
        dry_run=boolean("dry_run", given.get("dry_run", False)),
        force_retrain=force_retrain,
        date=date_or_none(given.get("date"), now.astimezone(zone).date())
        or run_after.astimezone(zone).date(),
        reason=reason,
    )


def refuse_unknown(given: Mapping[str, Any], allowed: Collection[str]) -> None:
    """Refuse a parameter that the form does not have, and parameters that are too long in all.

    Raises:
        ParameterError: naming it and those that are allowed, or the size.
    """
    size = len(json.dumps(dict(given), default=str))
    if size > MAX_BYTES:
        raise ParameterError(
            f"the parameters have {size:,} characters as JSON; allowed are {MAX_BYTES:,}"
        )
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise ParameterError(
            f"unknown parameter {redact(unknown[0][:60])!r}; allowed: {', '.join(allowed)}"
        )


def boolean(name: str, value: Any) -> bool:
    """Return a value that must be true or false.

    Raises:
        ParameterError: when it is anything else, 1 and "true" included.
    """
    if not isinstance(value, bool):
        raise ParameterError(f"{name}: must be true or false, is {shown(value)}")
    return value


def date_or_none(value: Any, today: date) -> date | None:
    """Return a day that was given as text; None where none was.

    Raises:
        ParameterError: when it is no day, in the future, or too long ago.
    """
    if value is None:
        return None
    # fullmatch: date.fromisoformat would also take 20260102 and week dates.
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ParameterError(f"date: must be a date such as {today}, is {shown(value)}")
    try:
        day = date.fromisoformat(value)
    except ValueError as error:
        raise ParameterError(f"date: there is no day {value}") from error
    oldest = today - timedelta(days=OLDEST_DAYS)
    if not oldest <= day <= today:
        raise ParameterError(f"date: {day} is out of bounds; allowed: {oldest} to {today}")
    return day


def reason_text(value: Any) -> str | None:
    """Return a reason without the blanks around it; None where there is none.

    Raises:
        ParameterError: when it is no text, too long, or holds a character that is not allowed.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise ParameterError(f"reason: must be a text, is {shown(value)}")
    problem = refusal(value)
    if problem:
        raise ParameterError(f"reason: must be {problem}")
    return value.strip() or None


def shown(value: Any) -> str:
    """Return a typed value short enough for a message, without what looks like a secret in it."""
    text = redact(repr(value))
    return text if len(text) <= 60 else f"{text[:57]}..."
