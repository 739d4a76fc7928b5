"""What the light tasks of a retraining run do. `dags/retrain_pipeline.py` says when.

Each opens the store, calls one function of the core and returns the result. What a task returns is
for readers of its XComs: it may keep a version from being promoted and never promotes one, because
every task reads its evidence from the store.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, Context, get_current_context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.orchestration.callbacks.run_ended import record_and_notify
from include.orchestration.callbacks.send import notify_decision
from include.orchestration.runtime.bundle import IMAGE_VARIABLE, git_sha
from include.orchestration.runtime.events import CLOCK, EVENT
from include.orchestration.runtime.lineage import report_lineage
from include.orchestration.runtime.run_task import run_task
from include.orchestration.runtime.supervisor import die_with_parent
from include.orchestration.trigger_forms.run_form import is_of_a_flags_day, read_params
from include.retraining.config.compute import resolve
from include.retraining.config.model import ModelConfig
from include.retraining.config.sizes import BYTES_PER_GIB
from include.retraining.config.step_names import STEPS
from include.retraining.exceptions import EvidenceError

if TYPE_CHECKING:
    from include.retraining.gate.verdict import Verdict
    from include.retraining.runs.manifest import Params, RunManifest
    from include.retraining.runs.reference import RunRef
    from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)

MAX_GATES = 50
"""Of a verdict's gates, as many are handed on: the whole verdict is in the store."""


def plan_run(config: ModelConfig) -> bool:
    """Pin what a run uses; return whether it has something to train.

    When an earlier run gives the answer, or newer data serve already, the run is closed here.
    """
    from include.retraining.steps.plan import plan_run as pin
    from include.retraining.store.layout import RunPaths

    context = get_current_context()
    with run_task(context) as (store, run):
        params = read_params(context, config.trigger, recorded=_day_of(store, run, context, config))
        log.info("params: %s", params.model_dump(mode="json"))
        if _is_decided_already(store, run, config, params):
            return False
        manifest = pin(
            store,
            config,
            dag_id=run.dag_id,
            run_id=run.run_id,
            run_after=run.run_after,
            params=params,
            cause=run.cause,
            git_sha=git_sha(context),
            image=os.environ.get(IMAGE_VARIABLE),
        )
        planned = {
            "run": RunPaths(manifest.model, manifest.run).uri(store.uri),
            "version": manifest.version,
            "fingerprint": manifest.fingerprint,
            "files": len(manifest.delivery.files),
            "bytes": manifest.delivery.total_bytes,
        }
        for name, value in planned.items():
            log.info("%s: %s", name, value)
        context["ti"].xcom_push(key="planned", value=planned)
        for step, words in _compute_in_words(config, manifest):
            log.info("%s: %s", step, words)
        return not _is_answered(store, manifest)


def check_quality(evaluated: object) -> bool:
    """Judge the challenger; return whether every gate passed.

    The first task that has all of a run's verified evidence, so the one that reports to OpenLineage
    which version was made of which delivery, wherever it was trained.

    Args:
        evaluated: what `evaluate_model` returned. The report in the store must be the one that it
            names. None for a run that was evaluated before it returned anything: then the store's
            evidence alone is judged.
    """
    from include.retraining.runs.manifest import current_plan, read_manifest
    from include.retraining.steps.decide import check_quality as judge
    from include.retraining.store.layout import version_folder

    context = get_current_context()
    with run_task(context) as (store, run):
        verdict = judge(store, run, report_sha256=_report_sha256(evaluated))
        manifest = read_manifest(store, current_plan(store, run.paths))
    version = f"{store.uri}/{version_folder(manifest.model, manifest.version)}"
    report_lineage(inputs=[manifest.delivery.location], outputs=[version])
    log.info("%s: %s", verdict.answer, verdict.headline)
    for gate in verdict.gates:
        log.info("%s %s: %s", gate.answer, gate.gate, gate.reason)
    for key, value in _judged(verdict).items():
        context["ti"].xcom_push(key=key, value=value)
    return verdict.passed


def deploy_model(champion: Asset) -> dict[str, Any]:
    """Promote the challenger, notify people and the DAGs that wait for the asset.

    A dry run, a run that another was faster than, and one whose model is on hold promote nothing:
    the task ends as skipped, without an event. An approval that does not count is red. A task that
    was killed behind its promotion emits the event when it is cleared, if its version serves still.

    Returns:
        The champion's version, its generation, and the address of the run that promoted it.
    """
    from include.retraining.decisions.record import Outcome
    from include.retraining.runs.manifest import current_plan, read_manifest
    from include.retraining.steps.decide import deploy, is_promoted_by
    from include.retraining.steps.plan import changed_since
    from include.retraining.store.layout import promotion_key, version_folder

    die_with_parent()
    context = get_current_context()
    with run_task(context) as (store, run):
        changed = changed_since(read_manifest(store, current_plan(store, run.paths)))
        record = deploy(store, run, actor=run.cause.user or run.dag_id, changed=changed)
    log.info("%s: %s", record.outcome, record.reason)
    notify_decision(store, record, context)
    if record.outcome is Outcome.APPROVAL_REJECTED:
        raise AirflowFailException(record.reason)
    # Of a run that had promoted before it was cleared, consumers may never have heard: who is
    # notified twice sees the generation that it has.
    is_repeated = record.outcome is Outcome.NO_CHANGE and is_promoted_by(store, run)
    if record.serving is None or not (record.outcome is Outcome.PROMOTED or is_repeated):
        raise AirflowSkipException(record.reason)
    version = f"{store.uri}/{version_folder(record.model, record.serving.version)}"
    entry = f"{store.uri}/{promotion_key(record.model, record.serving.generation)}"
    report_lineage(inputs=[version], outputs=[entry.rpartition("/")[0]])
    event: dict[str, Any] = {
        "version": record.serving.version,
        "generation": record.serving.generation,
        "run": current_plan(store, run.paths).uri(store.uri),
    }
    context["outlet_events"][champion].extra.update(event)
    return event


def abort_pipeline(*, fails: bool) -> str:
    """Record that the challenger is rejected; its reason is the first line of the task's log.

    Args:
        fails: whether such a run ends red; a dry run never does.
    """
    from include.retraining.decisions.record import Outcome
    from include.retraining.steps.decide import abort

    context = get_current_context()
    with run_task(context) as (store, run):
        record = abort(store, run)
    is_failure = fails and record.outcome is not Outcome.DRY_RUN
    log.log(logging.ERROR if is_failure else logging.INFO, "%s", record.reason)
    notify_decision(store, record, context)
    if is_failure:
        raise AirflowFailException(record.reason)
    return record.reason


def _is_answered(store: Store, manifest: RunManifest) -> bool:
    """Close a run that has nothing to train or to judge; return whether it was one."""
    from include.retraining.decisions.record import Outcome
    from include.retraining.steps.plan import answer_of, unchanged, why_judged_again, why_pointless

    context = get_current_context()
    earlier = unchanged(store, manifest)
    if earlier is None:
        pointless = why_pointless(store, manifest)
        if pointless is None:
            log.info("%s", why_judged_again(store, manifest) or "new: not decided on before")
            return False
        outcome, reason = pointless
        log.info("nothing is trained: %s", reason)
        record_and_notify(context, outcome, f"nothing was trained: {reason}")
        return True
    reason = earlier.reason
    if earlier.outcome is not Outcome.NO_CHANGE:  # that one says already who decided
        reason = answer_of(earlier, manifest)
    log.info("%s", reason)
    record_and_notify(context, Outcome.NO_CHANGE, reason)
    return True


def _is_decided_already(store: Store, run: RunRef, config: ModelConfig, params: Params) -> bool:
    """Close a run that finds a flag which was decided on before; return whether it was one.

    Events come twice, late and in any order, and the backstop comes after them.
    """
    from include.retraining.data.delivery import inspect_delivery
    from include.retraining.decisions.record import Outcome
    from include.retraining.decisions.same_flag import answered_by

    is_woken = run.cause.run_type in {EVENT, CLOCK} and config.trigger.on is not None
    if not is_woken or params.force_retrain:
        return False
    flag = inspect_delivery(store, config, params.date, consumed=None).flag
    earlier = flag and answered_by(store, config.name, flag, for_run=run.run_id)
    if not flag or not earlier:
        return False
    reason = (
        f"{flag.uri.rpartition('/')[2]} is the one that run {earlier.run_id} decided on: "
        f"{earlier.reason}"
    )
    log.info("%s", reason)
    context = get_current_context()
    record_and_notify(context, Outcome.NO_CHANGE, reason, params=params, flag=flag)
    return True


def _day_of(store: Store, run: RunRef, context: Context, config: ModelConfig) -> date | None:
    """Return the day that was noted when the run began, as the wait for its data took it."""
    from include.retraining.runs.journal import recorded_day

    return recorded_day(store, run) if is_of_a_flags_day(context, config.trigger) else None


def _compute_in_words(config: ModelConfig, manifest: RunManifest) -> Iterator[tuple[str, str]]:
    """Yield, for each step, what it may use and what it used last."""
    for step in STEPS:
        compute = resolve(config.compute.of(step), manifest.delivery.total_bytes)
        peak = manifest.last_peak_memory_bytes.get(step)
        used = "" if peak is None else f" (used last: up to {peak / BYTES_PER_GIB:.2f} GiB)"
        yield step, f"{compute.summary}{used}"


def _report_sha256(evaluated: object) -> str | None:
    """Return the digest of the report that `evaluate_model` handed on.

    Raises:
        EvidenceError: when it handed on something else.
    """
    if evaluated is None:
        return None
    digest = evaluated.get("sha256") if isinstance(evaluated, dict) else None
    if not isinstance(digest, str):
        raise EvidenceError(
            "the XCom of `evaluate_model` names no report by its SHA-256: clear `evaluate_model`"
        )
    return digest


def _judged(verdict: Verdict) -> dict[str, Any]:
    """Return what of a verdict is shown in Airflow."""
    from include.retraining.formatting.text import visible

    gates = {
        visible(gate.gate): {"answer": str(gate.answer), "value": gate.value, "limit": gate.limit}
        for gate in verdict.gates[:MAX_GATES]
    }
    return {
        "verdict": str(verdict.answer),
        "headline": visible(verdict.headline),
        "gates": gates,
    }
