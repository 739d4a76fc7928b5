"""Decision records: what a run decided, on which data, by which code, and why.

A record is put only if there is none, so a run that is closed by several callbacks and a watcher
has one. The promotion log is the truth: should a process promote after its run was recorded as
failed, a correction is put beside the record, and every reader takes that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from include.retraining import layout
from include.retraining.announcing import announcement
from include.retraining.approval import Approval, find_approval
from include.retraining.chain import newest_entry, newest_records
from include.retraining.compute_used import compute_used
from include.retraining.decision_record import FINISHED, PROMOTES, DecisionRecord, Outcome
from include.retraining.documents import Document, sha256_of
from include.retraining.exceptions import EvidenceError, RegistryError
from include.retraining.layout import RunPaths, run_key
from include.retraining.manifest import (
    Cause,
    Flag,
    Params,
    RunManifest,
    Serving,
    current_plan,
    find_manifest,
)
from include.retraining.outbox import post
from include.retraining.promotion_log import PromotionLog, serving_of
from include.retraining.promotions import PromotionEntry
from include.retraining.record_files import correction_key, decision_keys, read_record
from include.retraining.redaction import redact
from include.retraining.report import EvaluationReport
from include.retraining.results import ValidateResult
from include.retraining.storage import Store
from include.retraining.verdict import Verdict
from include.retraining.wording import cut

__all__ = [
    "FINISHED",
    "DecisionRecord",
    "Outcome",
    "RunRef",
    "close_run",
    "consumed_flag",
    "decision_keys",
    "decisions",
    "find_decision",
    "read_record",
]

REASON_LENGTH = 1000
AnyDocument = TypeVar("AnyDocument", bound=Document)


@dataclass(frozen=True)
class RunRef:
    """Which run is meant, also when it left nothing in the store."""

    model: str
    dag_id: str
    run_id: str
    run_after: datetime
    clear: int
    """0 for the run itself, then one more each time it was cleared."""
    cause: Cause

    @property
    def paths(self) -> RunPaths:
        """The keys of the run's first plan."""
        return RunPaths(self.model, run_key(self.run_id, self.run_after))


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
    run that promoted is recorded as promoted whatever the caller believes. What people must know of
    waits in the outbox before the record is there.

    Args:
        store: where the run left what it has.
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
        reason = cut(redact(reason, store.options), REASON_LENGTH)
        fresh = _gather(store, run, outcome, reason)
        known = {"failed_task": failed_task, "params": fresh.params or params}
        if fresh.outcome is Outcome.PROMOTED:
            failure = None
            if outcome is not Outcome.PROMOTED:  # who promoted did not get to say so
                known["failed_task"] = failed_task or PROMOTES
        known["failure"] = failure
        fresh = fresh.model_copy(update={**known, "flag": flag or fresh.flag})
        record = fresh if _write(store, key, key, fresh) else read_record(store, key)
    if record is None:
        raise EvidenceError(f"{store.uri}/{key}: the record vanished while it was written")
    return _corrected(store, run, key, record)


def find_decision(store: Store, run: RunRef) -> DecisionRecord | None:
    """Return a run's terminal record as the promotion log confirms it, or None before its end."""
    record = read_record(store, run.paths.decision(run.clear))
    return None if record is None else as_the_log_says(store, record)


def decisions(store: Store, model: str, *, limit: int | None = None) -> Iterator[DecisionRecord]:
    """Yield a model's decision records, that of the run due last first, read one by one.

    Raises:
        EvidenceError: for a record that cannot be read.
    """
    for key in decision_keys(store, model)[:limit]:
        record = read_record(store, key)
        if record is not None:
            yield as_the_log_says(store, record)


def consumed_flag(store: Store, model: str, flag_uri: str, *, for_run: str) -> str | None:
    """Return the identity of a flag that the newest finished decision on it consumed.

    A dry run consumes nothing, and what a run itself consumed is not old to it: a person who clears
    it wants it decided again.

    Consumption is part of the record itself: a run that is killed before it consumes nothing, and
    the next run finds the flag as new as it was. Looks at the last hundred decisions: a flag that
    was decided on before them counts as new, and its run finds nothing changed.

    Args:
        store: with the records.
        model: whose.
        flag_uri: the flag's address.
        for_run: Airflow's id of the run that waits.
    """
    for record in decisions(store, model, limit=100):
        is_trial = record.params is not None and record.params.dry_run
        if record.outcome not in FINISHED or record.run_id == for_run or is_trial:
            continue
        flag = record.flag
        if flag and flag.uri == flag_uri and flag.is_consumable:
            return flag.identity
    return None


def as_the_log_says(store: Store, record: DecisionRecord) -> DecisionRecord:
    """Return a record, as promoted if the promotion log has an entry made by its verdict."""
    if record.outcome is Outcome.PROMOTED or record.verdict is None or not record.verdict.passed:
        return record
    log = PromotionLog(store, record.model)
    entry = _promotion(log, record.run_id, record.clear, record.verdict)
    return record if entry is None else _as_promoted(store, record, record.verdict, entry)


def _corrected(store: Store, run: RunRef, key: str, record: DecisionRecord) -> DecisionRecord:
    """Put a correction beside a record that the promotion log contradicts."""
    if record.outcome is Outcome.PROMOTED:
        return record
    verdict = _read(Verdict, store, current_plan(store, run.paths).verdict(run.clear))
    judged = record.model_copy(update={"verdict": verdict or record.verdict})
    told = as_the_log_says(store, judged)
    if told.outcome is not Outcome.PROMOTED and judged.verdict is None:
        told = _gather(store, run, record.outcome, record.reason)
    if told.outcome is not Outcome.PROMOTED:
        return record
    # The record may have been written before there was a verdict or an evaluation to show.
    now = _gather(store, run, told.outcome, told.reason)
    corrected = now.model_copy(update={"reason": told.reason, "failed_task": record.failed_task})
    _write(store, correction_key(key), key, corrected)
    return read_record(store, key) or corrected


def _write(store: Store, key: str, record_key: str, record: DecisionRecord) -> bool:
    """Put a record, or the correction of one, if there is none; its notice is in the outbox first.

    So a process that is killed between the two leaves nothing that is never told, and what it left
    tells nothing that was not recorded (`announcing`).
    """
    notice = announcement(record, record_key)
    if notice is not None:
        post(store, notice)
    return store.create(key, record.to_bytes())


def _as_promoted(
    store: Store, record: DecisionRecord, verdict: Verdict, entry: PromotionEntry
) -> DecisionRecord:
    late = f"recorded as {record.outcome.value} before it was promoted ({record.reason})"
    changes = {
        "outcome": Outcome.PROMOTED,
        "reason": cut(f"{verdict.headline}; {late}", REASON_LENGTH),
        "decided_at": entry.created_at,
        "version": entry.version,
        "previous": _previous(PromotionLog(store, record.model), entry),
        "serving": serving_of(entry),
        "serving_since": entry.created_at,
    }
    return record.model_copy(update=changes)


def _gather(store: Store, run: RunRef, outcome: Outcome, reason: str) -> DecisionRecord:
    """Build the record from what the run left in the store; what is unreadable is left out."""
    paths = current_plan(store, run.paths)
    verdict = _read(Verdict, store, paths.verdict(run.clear))
    log = PromotionLog(store, run.model)
    entry, champion, previous, since = None, None, None, None
    try:
        if verdict is None:
            entry = _promotion_without_verdict(log, run)
        else:
            entry = _promotion(log, run.run_id, run.clear, verdict)
        champion = entry or log.champion()
        if champion is not None:
            previous, since = serving_of(champion), log.came_by(champion).created_at
    except RegistryError as error:
        reason = cut(f"{reason} (what serves is unknown: {error})", REASON_LENGTH)
    if entry is not None:
        headline = entry.reason if verdict is None else verdict.headline
        outcome, reason, previous = Outcome.PROMOTED, headline, _previous(log, entry)
    elif outcome is Outcome.PROMOTED:
        raise EvidenceError(f"run {run.run_id}: the promotion log has no entry made by it")
    record = DecisionRecord(
        model=run.model,
        dag_id=run.dag_id,
        run_id=run.run_id,
        run=run.paths.run,
        clear=run.clear,
        outcome=outcome,
        reason=reason,
        decided_at=datetime.now(UTC),
        run_after=run.run_after,
        cause=run.cause,
        params=None,
        flag=None,
        delivery=None,
        code=None,
        config_digest=None,
        policy_digest=None,
        fingerprint=None,
        version=None,
        rows=None,
        verdict=verdict,
        report=None if verdict is None else _judged_report(store, paths, verdict),
        previous=previous,
        serving=None if champion is None else serving_of(champion),
        serving_since=since,
    )
    newest = newest_records(store, run.model)
    held = {"after": tuple(newest), "log_head": newest_entry(store, run.model, newest)}
    record = record.model_copy(update=held)
    manifest = _manifest(store, paths)
    return record if manifest is None else _with_pins(store, paths, record, manifest)


def _with_pins(
    store: Store, paths: RunPaths, record: DecisionRecord, manifest: RunManifest
) -> DecisionRecord:
    """Add what the run pinned."""
    validated = _read(ValidateResult, store, paths.result("validate"))
    is_ours = validated is not None and validated.fingerprint == manifest.fingerprint
    version_key = layout.version_manifest_key(manifest.model, manifest.version)
    pins = {
        "title": manifest.config.get("title"),
        "owner": manifest.config.get("owner"),
        "approval": _approval(store, paths, record.clear),
        "params": manifest.params,
        "flag": manifest.delivery.flag,
        "delivery": manifest.delivery,
        "code": manifest.code,
        "config_digest": manifest.config_digest,
        "policy_digest": manifest.policy_digest,
        "fingerprint": manifest.fingerprint,
        "version": manifest.version if store.exists(version_key) else None,
        "rows": validated.rows if validated is not None and is_ours else None,
        "compute": compute_used(store, paths, manifest),
    }
    return record.model_copy(update=pins)


def _promotion(
    log: PromotionLog, run_id: str, clear: int, verdict: Verdict
) -> PromotionEntry | None:
    """Return the entry that one clear of a run made by a verdict, or None."""
    generation = verdict.judged_against + 1
    if not verdict.passed or log.head() < generation:
        return None
    entry = log.entry(generation)
    made_by = (entry.run_id, entry.clear, entry.verdict_digest)
    return entry if made_by == (run_id, clear, verdict.content_digest) else None


def _promotion_without_verdict(log: PromotionLog, run: RunRef) -> PromotionEntry | None:
    """Return the entry that one clear of a run made whose verdict is lost or damaged, or None."""
    for entry in log.newest_first():
        if entry.created_at < run.run_after:
            break
        if (entry.run_id, entry.clear) == (run.run_id, run.clear):
            return entry
    return None


def _previous(log: PromotionLog, entry: PromotionEntry) -> Serving | None:
    if entry.generation == 1:
        return None
    before = log.entry(entry.generation - 1)
    return serving_of(before)


def _judged_report(store: Store, paths: RunPaths, verdict: Verdict) -> EvaluationReport | None:
    data = store.read_if_present(paths.evaluation)
    if data is None or sha256_of(data) != verdict.report_digest:
        return None
    return EvaluationReport.from_bytes(data, where=paths.evaluation)


def _approval(store: Store, paths: RunPaths, clear: int) -> Approval | None:
    try:
        return find_approval(store, paths, clear)
    except EvidenceError:
        return None  # as below


def _manifest(store: Store, paths: RunPaths) -> RunManifest | None:
    try:
        return find_manifest(store, paths)
    except EvidenceError:
        return None  # a run with a damaged manifest must still be closed


def _read(kind: type[AnyDocument], store: Store, key: str) -> AnyDocument | None:
    data = store.read_if_present(key)
    try:
        return None if data is None else kind.from_bytes(data, where=key)
    except EvidenceError:
        return None  # as above
