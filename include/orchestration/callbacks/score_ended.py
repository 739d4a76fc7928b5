"""What happens when a scoring run ends: its record, and the message that it failed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from include.orchestration.callbacks.send import deliver_notice, send_notice
from include.orchestration.runtime.errors import explained
from include.orchestration.runtime.run_reference import run_reference
from include.orchestration.runtime.store import open_store
from include.orchestration.runtime.urls import repository_url, run_url
from include.retraining.config.model import load_model
from include.retraining.exceptions import RetrainingError
from include.retraining.formatting.text import default_title

if TYPE_CHECKING:
    from include.retraining.notifications.notice import Notice
    from include.retraining.runs.reference import RunRef
    from include.retraining.scoring.record import ScoreRecord
    from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)

_REFUSED_KINDS = frozenset({"data_rejected", "delivery"})


def record_scoring_failure(context: Context) -> None:
    """Record that a scoring run failed, unless it has its record, and notify.

    A callback of tasks and DAGs: Airflow calls it in the worker when a task failed for good, and in
    the DAG processor when a run ended, which is all that comes when a process was killed.
    """
    try:
        store, run = open_store(), run_reference(context)
        record = _failed(store, run, context)
        notify_scoring(store, record, context)
    except Exception as error:  # noqa: BLE001 a run must not end unheard for a mistake in here
        _, problem = explained(error)
        log.error("the run's end could not be recorded: %s", problem)  # noqa: TRY400 one clear line
        if "reason" in context:  # the DAG's callback: it comes last, and only once
            _send_without_outbox(context, problem)


def notify_scoring(store: Store, record: ScoreRecord, context: Context) -> None:
    """Deliver the notice of a scoring run that did not score everything; of any other none.

    Of the same refused inputs there is one notice, however many runs refuse them.
    """
    from include.retraining.documents import canonical_json, sha256_of
    from include.retraining.scoring.record import ScoreOutcome

    if record.outcome is not ScoreOutcome.SCORED:
        key = f"{record.model}.{record.run_id}.{record.clear:03d}.scoring"
        is_refused = record.outcome is ScoreOutcome.REFUSED
        if is_refused and record.refused:
            inputs = sha256_of(canonical_json(sorted(one.digest for one in record.refused)))
            key = f"{record.model}.{inputs[:16]}.refused"
        headline = "an input was not scored" if is_refused else "scoring failed"
        deliver_notice(
            store, _notice(context, record.model, key=key, headline=headline, why=record.reason)
        )


def _failed(store: Store, run: RunRef, context: Context) -> ScoreRecord:
    """Return a run's record; write one that says why it failed where there is none."""
    from include.retraining.runs.failures import first_cause
    from include.retraining.runs.manifest import current_plan
    from include.retraining.scoring.record import ScoreOutcome, find_record, write_record

    found = find_record(store, run)
    if found is not None:
        return found
    ti: Any = context.get("ti")
    task = None if ti is None else ti.task_id
    exception = context.get("exception")
    kind, reason = ("killed", "") if exception is None else explained(exception)
    if exception is None or task == "score_input":
        cause = first_cause(store, current_plan(store, run.paths), clear=run.clear)
        if cause is not None:
            kind, reason = cause.kind, f"{cause.step}: {cause.message}"
    if context.get("reason") == "timed_out":
        reason = f"the run took too long{'; ' if reason else ''}{reason}"
    if not reason:
        reason = f"{task or 'a task'} ended without saying why: it was killed, or marked failed"
    outcome = ScoreOutcome.REFUSED if kind in _REFUSED_KINDS else ScoreOutcome.FAILED
    return write_record(store, run, outcome, reason, failed_task=task, failure=kind)


def _notice(context: Context, model: str, *, key: str, headline: str, why: str) -> Notice:
    from include.retraining.notifications.notice import Links, NoticeKind, alert

    dag_id, run_id = context["dag"].dag_id, context["run_id"]
    title, owner = default_title(model), None
    try:
        config = load_model(model)
        title, owner = config.title, config.owner
    except RetrainingError as error:
        log.info("the message has no owner: %s", error)
    return alert(
        event="scoring",
        kind=NoticeKind.BROKEN,
        key=key,
        title=title,
        model=model,
        headline=headline,
        why=why,
        step="Read why, then have the input delivered again, or clear the run from its first task "
        "on: partitions keep the scores that they have until then.",
        owner=owner,
        serving=None,
        links=Links(
            run=run_url(dag_id, run_id),
            log=getattr(context.get("ti"), "log_url", None),
            repository=repository_url(context),
        ),
        runbook="scoring",
    )


def _send_without_outbox(context: Context, problem: str) -> None:
    """Notify people that a run ended while its store refuses: there is no record and no outbox."""
    headline = "a scoring run ended and could not be recorded"
    key = f"{context['run_id']}.scoring.store"
    try:
        model = run_reference(context).model
        send_notice(_notice(context, model, key=key, headline=headline, why=problem))
    except Exception as error:  # noqa: BLE001 there is nothing left to try
        log.error("nobody was notified: %s: %s", type(error).__name__, error)  # noqa: TRY400
