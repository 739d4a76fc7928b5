"""The form of `silence_alerts`, and the checks of its values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow.sdk import Context, Param

from include.orchestration.trigger_forms.request_form import (
    read_request,
    reason_param,
    release_params,
)
from include.orchestration.trigger_forms.run_form import shown
from include.retraining.config.notice_kind import NoticeKind
from include.retraining.exceptions import ParameterError

ACTIONS = ("begin", "end")
DEFAULT_HOURS = 8
# The longest silence, as `notifications/silences.py` has it: that module is not imported while a
# DAG file is parsed, and a test compares the two.
MAX_HOURS = 14 * 24


@dataclass(frozen=True)
class SilenceRequest:
    """A user's request, checked."""

    name: str
    """`DAG_ID/RUN_ID`: the same for every try and every clear of the run."""
    model: str
    kind: NoticeKind
    action: str
    hours: int
    reason: str
    actor: str
    due: datetime


def silence_params() -> dict[str, Param]:
    """Return the fields of the form."""
    return {
        "model": release_params()["model"],
        "kind": Param(
            type="string",
            enum=[kind.value for kind in NoticeKind],
            title="Kind of message",
            description="broken: someone must act. waiting: an approval is asked for, and expires "
            "without an answer. rejected: nothing was promoted. good_news: promoted, recovered.",
        ),
        "action": Param(
            "begin",
            type="string",
            enum=list(ACTIONS),
            title="Action",
            description="begin: silence such messages. end: send them again, at once.",
        ),
        "hours": Param(
            DEFAULT_HOURS,
            type="integer",
            minimum=1,
            maximum=MAX_HOURS,
            title="Hours",
            description=f"How long, at most {MAX_HOURS} (two weeks). What was silenced is listed "
            "in one message when it is over. Not used to end one.",
        ),
        "reason": reason_param("shown wherever the silence is"),
    }


def read_silence(context: Context) -> SilenceRequest:
    """Return what the user who triggered a run asked for.

    Args:
        context: a task's.

    Raises:
        ParameterError: naming the parameter, what is wrong with it and what is allowed.
    """
    request = read_request(context, silence_params())
    dag_run: Any = context["dag_run"]
    given = {**dict(context["params"]), **(dag_run.conf or {})}
    return SilenceRequest(
        name=request.name,
        model=request.model,
        kind=NoticeKind(_one_of("kind", given.get("kind"), [kind.value for kind in NoticeKind])),
        action=_one_of("action", given.get("action", ACTIONS[0]), ACTIONS),
        hours=_hours(given.get("hours", DEFAULT_HOURS)),
        reason=request.reason,
        actor=request.actor,
        due=request.due,
    )


def _one_of(name: str, value: Any, allowed: Any) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise ParameterError(f"{name}: must be one of {', '.join(allowed)}, is {shown(value)}")
    return value


def _hours(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_HOURS:
        raise ParameterError(
            f"hours: must be a whole number from 1 to {MAX_HOURS}, is {shown(value)}"
        )
    return value
