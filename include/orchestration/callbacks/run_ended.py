"""Every run ends with one decision record, and none of its jobs runs on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk import Context

from include.orchestration.backends.remote_step import RUN_ENDED
from include.orchestration.backends.stop import stop_jobs
from include.orchestration.callbacks.send import notify_decision
from include.orchestration.runtime.errors import cause_of, explained
from include.orchestration.runtime.run_reference import run_reference
from include.orchestration.runtime.store import open_store
from include.retraining.exceptions import RetrainingError

if TYPE_CHECKING:
    from include.retraining.config.step_names import JobStep
    from include.retraining.decisions.record import DecisionRecord, Outcome
    from include.retraining.fingerprint.pinned import Flag
    from include.retraining.runs.reference import RunRef
    from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)

# The task that runs each step as a job.
STEP_OF_TASK: dict[str, JobStep] = {
    "validate_data": "validate",
    "train_model": "train",
    "evaluate_model": "evaluate",
}
# What is wrong with the data itself: the same delivery does not start another run.
_DATA_KINDS = frozenset({"data_rejected", "delivery"})


class _End(NamedTuple):
    """How a run ended that did not record it itself."""

    outcome: Outcome
    reason: str
    task: str | None
    failure: str | None
    """The kind of the first cause."""
    flag: Flag | None = None
    """The flag of a delivery that is refused: this decision consumes it."""


def record_and_notify(
    context: Context, outcome: Outcome, reason: str, **facts: Any
) -> DecisionRecord:
    """Write a run's decision record, unless it has one, and notify people.

    Args:
        context: the task's or callback's.
        outcome: how the run ended; the promotion log overrules it.
        reason: one sentence.
        facts: `failed_task`, `failure`, `params` and `flag`, where they are known.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    from include.retraining.steps.close_run import close_run

    store = open_store()
    record = close_run(store, run_reference(context), outcome, reason, **facts)
    notify_decision(store, record, context)
    return record


def record_run_end(context: Context) -> None:
    """Record how a run ended, unless it did so itself. A callback of tasks and DAGs.

    Airflow calls it in the worker when a task failed for good, and in the DAG processor when a run
    ended: the second is the only one that comes when a process was killed. Both may come, and
    twice; the record is written once, with its notice in the outbox first.
    """
    try:
        record_of_end(open_store(), run_reference(context), context)
    except RetrainingError as error:
        log.error("the run's end could not be recorded: %s", error)  # noqa: TRY400 one clear line


def stop_run_jobs(context: Context) -> None:
    """End the jobs of a run that has failed. A callback of DAGs: its other tasks have ended too."""
    from include.retraining.runs.manifest import current_plan

    try:
        store, run = open_store(), run_reference(context)
        stop_jobs(store, current_plan(store, run.paths), RUN_ENDED, clear=run.clear)
    except RetrainingError as error:
        log.error("jobs of the run may go on: %s", error)  # noqa: TRY400 it is one clear line


def record_of_end(store: Store, run: RunRef, context: Context) -> DecisionRecord:
    """Return the decision record of a run that has ended; write it if there is none.

    Raises:
        StorageError: when the store refuses or does not answer: call again.
    """
    from include.retraining.steps.close_run import close_run

    end = _what_happened(store, run, context)
    return close_run(
        store,
        run,
        end.outcome,
        end.reason,
        failed_task=end.task,
        failure=end.failure,
        flag=end.flag,
    )


def _what_happened(store: Store, run: RunRef, context: Context) -> _End:
    """Return how a run ended that has no record."""
    from include.retraining.decisions.cleared import NOT_RUN, ran_again, standing
    from include.retraining.decisions.record import Outcome
    from include.retraining.runs.failures import VAGUE, first_cause
    from include.retraining.runs.manifest import current_plan

    ti: Any = context.get("ti")
    task = None if ti is None else ti.task_id
    if context.get("reason") in {"success", "task_failure"} and not ran_again(store, run):
        stands = standing(store, run, NOT_RUN)
        if stands is not None:
            return _End(stands.outcome, stands.reason, stands.failed_task, stands.failure)
    if context.get("reason") == "success":
        return _End(Outcome.FAILED, "the run ended without a decision", None, "no_decision")
    exception = context.get("exception")
    kind, reason = ("killed", "") if exception is None else explained(exception)
    cause = None
    # What a task itself says of something else than its job is the cause; a step that left no
    # result, or was killed, is a symptom.
    if exception is None or task in STEP_OF_TASK or kind in VAGUE | {"evidence"}:
        cause = first_cause(store, current_plan(store, run.paths), clear=run.clear)
    if context.get("reason") == "timed_out":
        late = f"the run took too long; {task} was not done"
        if cause is not None:
            return _End(Outcome.FAILED, f"{late}; {cause.step}: {cause.message}", task, cause.kind)
        return _End(Outcome.FAILED, late, task, "timeout")
    if cause is not None:
        kind, reason = cause.kind, f"{cause.step}: {cause.message}"
    if not reason:
        name = task or "a task"
        reason = f"{name} ended without saying why: it was killed, or someone marked it failed"
    kind = "killed" if kind == "job_killed" else kind
    outcome = Outcome.DATA_REJECTED if kind in _DATA_KINDS else Outcome.FAILED
    refused = (
        getattr(cause_of(exception), "flag", None) if outcome is Outcome.DATA_REJECTED else None
    )
    return _End(outcome, reason, task, kind, refused)
