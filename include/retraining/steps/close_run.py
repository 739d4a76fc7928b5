"""Closing a run: its terminal record is written once, and its notice is announced first.

A record is put only if there is none, so a run that is closed by several callbacks and a watcher
has one. The promotion log is the truth: should a process promote after its run was recorded as
failed, a correction is put beside the record, and every reader takes that.
"""

from __future__ import annotations

from include.retraining.decisions.gathering import REASON_LENGTH, gather, read_if_sound
from include.retraining.decisions.record import PROMOTES, DecisionRecord, Outcome
from include.retraining.decisions.record_files import correction_key, read_record
from include.retraining.decisions.records import corrected_by_log
from include.retraining.exceptions import EvidenceError
from include.retraining.fingerprint.pinned import Flag
from include.retraining.formatting.text import truncate
from include.retraining.gate.verdict import Verdict
from include.retraining.notifications.announcing import announcement
from include.retraining.notifications.outbox import post
from include.retraining.runs.manifest import Params, current_plan
from include.retraining.runs.reference import RunRef
from include.retraining.store.object_store import Store
from include.retraining.store.redaction import redact


def close_run(
    store: Store,
    run: RunRef,
    outcome: Outcome,
    reason: str,
    *,
    failed_task: str | None = None,
    failure: str | None = None,
    params: Params | None = None,
    flag: Flag | None = None,
) -> DecisionRecord:
    """Write a run's terminal record, unless it has one, and return the one it has.

    Safe to call any number of times, from anywhere, with any outcome: the first record stays, and a
    run that promoted is recorded as promoted even if the caller thinks otherwise. The notice waits
    in the outbox before the record is there.

    Args:
        store: with the run's evidence.
        run: the run.
        outcome: how it ended, as the caller knows it.
        reason: one sentence; secrets are removed from it.
        failed_task: the task that ended the run, where one did.
        failure: the kind of the first cause, where the run broke.
        params: as resolved, for a run that ended before it had a manifest.
        flag: that the run fired on, for a run that ended before it had a manifest.

    Raises:
        EvidenceError: for PROMOTED when the promotion log does not say so.
        StorageError: when the store refuses or does not answer: call again.
    """
    key = run.paths.decision(run.clear)
    record = read_record(store, key)
    if record is None:
        reason = truncate(redact(reason, store.options), REASON_LENGTH)
        fresh = gather(store, run, outcome, reason)
        known = {"failed_task": failed_task, "params": fresh.params or params}
        if fresh.outcome is Outcome.PROMOTED:
            failure = None
            if outcome is not Outcome.PROMOTED:  # its process was killed before recording it
                known["failed_task"] = failed_task or PROMOTES
        known["failure"] = failure
        fresh = fresh.model_copy(update={**known, "flag": flag or fresh.flag})
        record = fresh if _write(store, key, key, fresh) else read_record(store, key)
    if record is None:
        raise EvidenceError(f"{store.uri}/{key}: the record vanished while it was written")
    return _corrected(store, run, key, record)


def _corrected(store: Store, run: RunRef, key: str, record: DecisionRecord) -> DecisionRecord:
    """Put a correction beside a record that the promotion log contradicts."""
    if record.outcome is Outcome.PROMOTED:
        return record
    verdict = read_if_sound(Verdict, store, current_plan(store, run.paths).verdict(run.clear))
    judged = record.model_copy(update={"verdict": verdict or record.verdict})
    actual = corrected_by_log(store, judged)
    if actual.outcome is not Outcome.PROMOTED and judged.verdict is None:
        actual = gather(store, run, record.outcome, record.reason)
    if actual.outcome is not Outcome.PROMOTED:
        return record
    # The record may have been written before there was a verdict or an evaluation to show.
    now = gather(store, run, actual.outcome, actual.reason)
    corrected = now.model_copy(update={"reason": actual.reason, "failed_task": record.failed_task})
    _write(store, correction_key(key), key, corrected)
    return read_record(store, key) or corrected


def _write(store: Store, key: str, record_key: str, record: DecisionRecord) -> bool:
    """Put a record, or the correction of one, if there is none; its notice is in the outbox first.

    So a process that is killed between the two loses no notice, and the notice it left is not sent
    before its record exists (`announcing`).
    """
    notice = announcement(record, record_key)
    if notice is not None:
        post(store, notice)
    return store.create(key, record.to_bytes())
