"""The form of the manual DAGs, and the checks of its values.

Like those of a retraining run, the values are checked by the form's schema and again in code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow.sdk import Context, Param

from include.orchestration.trigger_forms.run_form import boolean, reason_text, refuse_unknown, shown
from include.retraining.approval.reason import REASON_HINT, REASON_LENGTH, REASON_PATTERN
from include.retraining.config.model import model_names
from include.retraining.exceptions import ParameterError

# A version's name; the end as in REASON_PATTERN.
VERSION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}(?![\s\S])"


@dataclass(frozen=True)
class Request:
    """A user's request, checked."""

    name: str
    """`DAG_ID/RUN_ID`: the same for every try and every clear of the run."""
    model: str
    reason: str
    actor: str
    """Who triggered the run."""
    due: datetime
    """When the run was to start: nothing that it did is older."""
    asked_at: datetime
    """When the run started, or started again after a clear."""
    version: str | None = None
    generation: int | None = None
    """The generation that the person saw serve."""
    dry_run: bool = False


def release_params() -> dict[str, Param]:
    """Return the fields of the form for a release."""
    return {
        "model": Param(
            type="string",
            enum=model_names(),
            title="Model",
            description="Its name, as in retrain_NAME.",
        ),
        "reason": reason_param("shown in the promotion log"),
    }


def reason_param(where: str) -> Param:
    """Return the field for a reason, which says where that is shown."""
    return Param(
        type="string",
        minLength=1,
        maxLength=REASON_LENGTH,
        pattern=REASON_PATTERN,
        title="Reason",
        description=f"Why; {where}. {REASON_HINT}",
    )


def rollback_params() -> dict[str, Param]:
    """Return the fields of the form for a rollback."""
    return {
        **release_params(),
        "version": Param(
            None,
            type=["null", "string"],
            pattern=VERSION_PATTERN,
            title="Version that shall serve again",
            description="Empty: the champion before the one that serves, leaving out those that "
            "were rolled back. The model's page under Models in the navigation has all that ever "
            "served.",
        ),
        "generation": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Generation that serves now",
            description="As the dry run says it, or the model's page: the rollback is made only "
            "while that serves. Empty: what served when the run started, by the clock.",
        ),
        "dry_run": Param(
            True,
            type="boolean",
            title="Dry run",
            description="On: the version is checked and tried, the log of Roll back says what "
            "would change, and nothing changes. Switch it off to roll back: the version serves at "
            "once, and no run promotes until someone releases that.",
        ),
    }


def read_request(context: Context, form: dict[str, Param]) -> Request:
    """Return what the person who triggered a run asked for.

    Args:
        context: a task's.
        form: the fields there are.

    Raises:
        ParameterError: naming the parameter, what is wrong with it and what is allowed.
    """
    dag_run = context["dag_run"]
    given = {**dict(context["params"]), **(dag_run.conf or {})}
    refuse_unknown(given, form)
    reason = reason_text(given.get("reason"))
    if reason is None:
        raise ParameterError("reason: is missing: say why in the parameter `reason`")
    return Request(
        name=f"{dag_run.dag_id}/{dag_run.run_id}",
        model=_model(given.get("model")),
        reason=reason,
        actor=dag_run.triggering_user_name or dag_run.dag_id,
        due=dag_run.run_after,
        asked_at=dag_run.start_date or dag_run.run_after,
        version=_version(given.get("version")),
        generation=_generation(given.get("generation")),
        dry_run="dry_run" in form and boolean("dry_run", given.get("dry_run", True)),
    )


def _model(value: Any) -> str:
    names = model_names()
    if not isinstance(value, str) or value not in names:
        raise ParameterError(
            f"model: must be one of {', '.join(names) or 'none: there is no model'}, is "
            f"{shown(value)}"
        )
    return value


def _version(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not re.match(VERSION_PATTERN, value):
        raise ParameterError(
            f"version: must be a version's name as the promotion log has it, is {shown(value)}"
        )
    return value


def _generation(value: Any) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ParameterError(
            f"generation: must be a number, 1 or more, as the promotion log has it, is "
            f"{shown(value)}"
        )
    return value
