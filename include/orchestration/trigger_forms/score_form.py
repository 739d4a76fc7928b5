"""The trigger form of a scoring run, checked by its schema and again in code."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow.sdk import Context, Param

from include.orchestration.trigger_forms.run_form import (
    OLDEST_DAYS,
    date_or_none,
    refuse_unknown,
    shown,
)
from include.retraining.config.scoring import Scoring
from include.retraining.exceptions import ParameterError

if TYPE_CHECKING:
    from include.retraining.scoring.partitions import Demand

MAX_RESCORE_DAYS = 366


def score_params() -> dict[str, Param]:
    """Return the fields of the trigger form."""
    return {
        "date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Partition",
            description="The one day whose input is scored by the champion, also when it was "
            f"refused before. At most {OLDEST_DAYS} days back. Empty: whatever needs scores.",
        ),
        "rescore_days": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            maximum=MAX_RESCORE_DAYS,
            title="Score again: last days",
            description="Of how many days, today included, the partitions are scored again whose "
            "version was rolled back. Empty: as the model's YAML says.",
        ),
    }


def read_demand(context: Context, scoring: Scoring, timezone: str) -> Demand:
    """Return what a run was asked to look at.

    Args:
        context: the task's context.
        scoring: the model's.
        timezone: the model's, in which a day begins and ends.

    Raises:
        ParameterError: naming the parameter, what is wrong with it and what is allowed.
    """
    dag_run = context["dag_run"]
    given = {**dict(context["params"]), **(dag_run.conf or {})}
    return resolve_demand(given, scoring, now=datetime.now(UTC), timezone=timezone)


def resolve_demand(
    given: Mapping[str, Any], scoring: Scoring, *, now: datetime, timezone: str
) -> Demand:
    """Check parameters and fill in what was left open.

    Raises:
        ParameterError: naming the parameter, what is wrong with it and what is allowed.
    """
    from include.retraining.scoring.partitions import Demand

    refuse_unknown(given, score_params())
    today = now.astimezone(ZoneInfo(timezone)).date()
    day = date_or_none(given.get("date"), today)
    if day is not None and not scoring.is_dated:
        raise ParameterError("date: this model's input has no {date}: leave it empty")
    days = given.get("rescore_days")
    if days is None:
        days = scoring.rescore_days
    elif isinstance(days, bool) or not isinstance(days, int) or not 0 <= days <= MAX_RESCORE_DAYS:
        raise ParameterError(
            f"rescore_days: must be a whole number from 0 to {MAX_RESCORE_DAYS}, is {shown(days)}"
        )
    return Demand(today=today, only=day, rescore_days=days)
