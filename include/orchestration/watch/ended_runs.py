"""Runs that Airflow ended and that left loose ends: no record, or a job that still runs."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk import Context

from include.orchestration.backends.remote_step import RUN_ENDED
from include.orchestration.backends.stop import stop_jobs
from include.orchestration.callbacks.send import links_of, title_of
from include.orchestration.runtime.dag_runs import ENDED, find_run
from include.orchestration.runtime.run_reference import reference_to
from include.orchestration.runtime.urls import airflow_url, repository_url, run_url
from include.orchestration.watch.one_by_one import deliver_in_turn
from include.retraining.exceptions import InfrastructureError

if TYPE_CHECKING:
    from include.retraining.notifications.notice import Notice
    from include.retraining.runs.journal import KnownRun
    from include.retraining.runs.reference import RunRef
    from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)

GRACE = timedelta(seconds=60)
"""How long its own callbacks have precedence after a run ended."""
DELETED = "deleted"
# How often a run was cleared is unknown once Airflow has deleted it.
EVERY_CLEAR = 10**6


class EndedRun(NamedTuple):
    """A run that has ended in Airflow."""

    run: RunRef
    state: str
    """`success`, `failed`, or `deleted`."""


def ended_run(known: KnownRun, before: datetime) -> EndedRun | None:
    """Return a run of the store as Airflow has it, None while it goes on, or another has it.

    Args:
        known: the run.
        before: one that ended after this is still left to its own callbacks.
    """
    dag_run = find_run(known.run.dag_id, known.run.run_id)
    if dag_run is not None:
        reference = reference_to(known.run.dag_id, dag_run)
        return EndedRun(reference, word(dag_run.state)) if has_ended(dag_run, before) else None
    is_ours = known.airflow == airflow_url()  # another Airflow may share the store
    return EndedRun(known.run, DELETED) if is_ours else None


def close_dead_run(store: Store, ended: EndedRun, context: Context) -> bool:
    """Record a run that ended without a record, and notify; False when it has one."""
    from include.retraining.decisions.records import find_decision
    from include.retraining.notifications.decision_notice import notice_for
    from include.retraining.steps.close_run import close_run
    from include.retraining.watch.late import has_decided

    run = ended.run
    if find_decision(store, run) is not None:
        return False
    if ended.state == DELETED and run.clear == 0 and has_decided(store, run.paths):
        return False
    outcome, reason, failure = _ending(store, ended)
    record = close_run(store, run, outcome, reason, failure=failure)
    notice = notice_for(record, replace(links_of(store, record, context), log=None))
    if notice is not None:
        deliver_in_turn(store, notice)
    log.warning("closed %s as %s: %s", run.run_id, record.outcome.value, record.reason)
    return True


def _ending(store: Store, ended: EndedRun) -> tuple[Any, str, str | None]:
    """Return outcome, reason and the kind of the first cause."""
    from include.retraining.decisions.cleared import NOT_RUN, ran_again, standing
    from include.retraining.decisions.record import Outcome
    from include.retraining.runs.failures import first_cause
    from include.retraining.runs.manifest import current_plan

    if ended.state == DELETED:
        reason = "the run is no longer in Airflow: someone deleted it before it had decided"
        return Outcome.CANCELLED, reason, None
    stands = None if ran_again(store, ended.run) else standing(store, ended.run, NOT_RUN)
    if stands is not None:
        return stands.outcome, stands.reason, stands.failure
    if ended.state == "success":
        reason = "the run ended without a decision: someone marked it, or tasks of it, as done"
        return Outcome.FAILED, reason, "no_decision"
    cause = first_cause(store, current_plan(store, ended.run.paths), clear=ended.run.clear)
    if cause is not None:
        return Outcome.FAILED, f"{cause.step}: {cause.message}", cause.kind
    reason = "the run ended without a report: someone marked it failed, or it was killed"
    return Outcome.FAILED, reason, None


def stop_lost_jobs(store: Store, ended: EndedRun, context: Context) -> list[str]:
    """End the jobs that still run for a run that has ended, and notify; return their names.

    Once all of them were asked to end, they are not checked again.

    Raises:
        InfrastructureError: when a platform refuses or does not answer: some may still run.
    """
    from include.retraining.runs.journal import plans_of

    run = ended.run
    clear = EVERY_CLEAR if ended.state == DELETED else run.clear
    names: list[str] = []
    problems: list[str] = []
    for plan in plans_of(store, run):
        if not store.exists(plan.job(1)) or store.exists(plan.jobs_ended(clear)):
            continue
        stopped = stop_jobs(store, plan, RUN_ENDED, clear=clear)
        names += stopped.ended
        problems += stopped.problems
        if not stopped.problems:
            store.write(plan.jobs_ended(clear), b"{}\n")
    if names:
        deliver_in_turn(store, _lost_jobs_notice(ended, names, context))
    if problems:
        raise InfrastructureError(f"jobs of {run.run_id} may go on: {'; '.join(problems)}")
    return names


def _lost_jobs_notice(ended: EndedRun, names: list[str], context: Context) -> Notice:
    from include.retraining.notifications.notice import Links, NoticeKind, alert, run_topic

    run = ended.run
    return alert(
        event="lost_job",
        kind=NoticeKind.GOOD_NEWS,
        key=f"{run.model}.{run.paths.run}.{run.clear:03d}.lost_job.{names[-1]}",
        title=title_of(run.model),
        model=run.model,
        headline="an orphaned job was stopped",
        why=f"Its run is {ended.state} in Airflow: {', '.join(names)}.",
        step="Nothing to do, unless it happens again and again.",
        owner=None,
        serving=None,
        links=Links(
            run=None if ended.state == DELETED else run_url(run.dag_id, run.run_id),
            repository=repository_url(context),
        ),
        runbook="lost_job",
        topic=run_topic(run.model, run.paths.run),
    )


def has_ended(dag_run: Any, before: datetime) -> bool:
    """Return whether a run has ended in Airflow, before a time."""
    return word(dag_run.state) in ENDED and (dag_run.end_date is None or dag_run.end_date < before)


def word(state: Any) -> str:
    """Return a state of Airflow's as text."""
    return str(getattr(state, "value", state))
