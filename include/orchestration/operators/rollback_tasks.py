"""What the tasks of `rollback_model` and `release_model` do that need no process of their own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias, get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from include.orchestration.callbacks.manual_change import notify_manual_change
from include.orchestration.operators.champion_asset import champion_asset
from include.orchestration.runtime.bundle import assert_own_bundle
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.store import open_store
from include.orchestration.runtime.supervisor import die_with_parent
from include.orchestration.trigger_forms.request_form import (
    Request,
    read_request,
    release_params,
    rollback_params,
)
from include.retraining.config.model import load_model
from include.retraining.exceptions import EvidenceError

if TYPE_CHECKING:
    from include.retraining.rollback.plan import RollbackPlan

log = logging.getLogger(__name__)


def check_request() -> dict[str, Any]:
    """Check what was typed; return the plan, which says what would change. Writes nothing."""
    from include.retraining.rollback.plan import plan_rollback

    context = get_current_context()
    with fail_permanent_errors():
        assert_own_bundle(context)
        request = read_request(context, rollback_params())
        plan = plan_rollback(
            open_store(),
            load_model(request.model).name,
            request.version,
            request=request.name,
            seen=request.generation,
            asked_at=request.asked_at,
            since=request.due,
        )
    log.info("asked by %s: %s", request.actor, request.reason)
    log.info("it would be: %s", plan.summary)
    return plan.model_dump(mode="json")


def roll_back(planned: Any, tried: Any, alias: AssetAlias) -> dict[str, Any]:
    """Append the rollback to the promotion log, notify people, and emit the champion's event.

    Skipped in a dry run, which `report_dry_run` ends. Safe to repeat: another try, or a cleared
    run, finds the entry that the run made.

    Args:
        planned: what `check_request` returned.
        tried: what `try_version` returned.
        alias: of the event.

    Returns:
        The champion's version and generation.
    """
    from include.retraining.registry.promotion import Registry
    from include.retraining.rollback.messages import rolled_back

    die_with_parent()
    context = get_current_context()
    with fail_permanent_errors():
        assert_own_bundle(context)
        request = read_request(context, rollback_params())
        plan = _tried_plan(request, planned, tried)
        if request.dry_run:
            raise AirflowSkipException("a dry run: nothing was changed")
        registry = Registry(open_store(), plan.model)
        entry = registry.rollback(
            plan.target.version,
            actor=request.actor,
            reason=request.reason,
            seen=plan.serving.generation,
            request=request.name,
        )
        head = registry.log.head()
    log.info("rolled back, generation %d: %s; %s", entry.generation, plan.summary, tried)
    notify_manual_change(registry.store, context, rolled_back, entry, plan=plan, tried=tried)
    event: dict[str, Any] = {"version": entry.version, "generation": entry.generation}
    if head != entry.generation:
        raise AirflowSkipException(
            f"this run had rolled back before, as generation {entry.generation}; generation "
            f"{head} serves since"
        )
    champion: Asset = champion_asset(plan.model)
    context["outlet_events"][alias].add(champion, extra=event)
    return event


def report_dry_run(planned: Any, tried: Any) -> str:
    """Return what a rollback would change, at the end of a dry run; skipped in a rollback.

    Args:
        planned: what `check_request` returned.
        tried: what `try_version` returned.
    """
    context = get_current_context()
    with fail_permanent_errors():
        assert_own_bundle(context)
        request = read_request(context, rollback_params())
        plan = _tried_plan(request, planned, tried)
    if not request.dry_run:
        raise AirflowSkipException("no dry run: see the task `roll_back`")
    words = f"dry run, nothing was changed. It would be: {plan.summary}; {tried}"
    log.info("%s", words)
    log.info(
        "to do it, trigger %s again without dry run, with generation %d",
        request.name.partition("/")[0],
        plan.serving.generation,
    )
    return words


def release_hold() -> dict[str, Any]:
    """Let runs promote again; a retry or a clear finds what was done.

    Returns:
        The champion's version and generation, which stay as they are.
    """
    from include.retraining.registry.promotion import Registry
    from include.retraining.rollback.messages import released

    die_with_parent()
    context = get_current_context()
    with fail_permanent_errors():
        assert_own_bundle(context)
        request = read_request(context, release_params())
        config = load_model(request.model)
        registry = Registry(open_store(), request.model)
        entry = registry.log.entry_for_request(request.name, request.due) or registry.release(
            actor=request.actor, reason=request.reason, request=request.name
        )
    log.info("released by %s: %s", entry.actor, entry.reason)
    log.info(
        "to promote now, trigger %s with force_retrain; else the next delivery may", config.dag_id
    )
    since = registry.log.promotion_of(entry).created_at
    notify_manual_change(registry.store, context, released, entry, serving_since=since)
    return {"version": entry.version, "generation": entry.generation}


def read_plan(planned: Any) -> RollbackPlan:
    """Return the plan that `check_request` returned.

    Raises:
        EvidenceError: when it returned none.
    """
    from include.retraining.documents import canonical_json
    from include.retraining.rollback.plan import RollbackPlan

    return RollbackPlan.from_bytes(canonical_json(planned), where="what `check_request` returned")


def _tried_plan(request: Request, planned: Any, tried: Any) -> RollbackPlan:
    plan = read_plan(planned)
    if plan.model != request.model or not isinstance(tried, str) or not tried:
        raise EvidenceError("the version was not tried: clear `try_version`")
    return plan
