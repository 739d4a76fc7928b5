"""Gathering a decision record from what a run left in the store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from include.retraining.approval.answer import Approval, find_approval
from include.retraining.decisions.chain import newest_entry, newest_records
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.documents import Document, sha256_of
from include.retraining.exceptions import EvidenceError, RegistryError
from include.retraining.fingerprint.pinned import Forgotten
from include.retraining.formatting.text import truncate
from include.retraining.gate.report import EvaluationReport
from include.retraining.gate.verdict import Verdict
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion_log import PromotionLog, serving_of
from include.retraining.registry.versions import VersionManifest
from include.retraining.runs.manifest import RunManifest, Serving, current_plan, find_manifest
from include.retraining.runs.reference import RunRef
from include.retraining.runs.results import ValidateResult
from include.retraining.runs.usage import compute_used
from include.retraining.store import layout
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store

REASON_LENGTH = 1000
AnyDocument = TypeVar("AnyDocument", bound=Document)


def gather(store: Store, run: RunRef, outcome: Outcome, reason: str) -> DecisionRecord:
    """Build the record from what the run left in the store; what is unreadable is left out."""
    paths = current_plan(store, run.paths)
    verdict = read_if_sound(Verdict, store, paths.verdict(run.clear))
    log = PromotionLog(store, run.model)
    entry, champion, previous, since = None, None, None, None
    try:
        if verdict is None:
            entry = _promotion_without_verdict(log, run)
        else:
            entry = promotion_by(log, run.run_id, run.clear, verdict)
        champion = entry or log.champion()
        if champion is not None:
            previous, since = serving_of(champion), log.promotion_of(champion).created_at
    except RegistryError as error:
        reason = truncate(f"{reason} (the champion is unknown: {error})", REASON_LENGTH)
    if entry is not None:
        headline = entry.reason if verdict is None else verdict.headline
        outcome, reason, previous = Outcome.PROMOTED, headline, served_before(log, entry)
    elif outcome is Outcome.PROMOTED:
        raise EvidenceError(f"run {run.run_id}: the promotion log has no entry made by it")
    newest = newest_records(store, run.model)
    fields = {
        "verdict": verdict,
        "report": None if verdict is None else _judged_report(store, paths, verdict),
        "previous": previous,
        "serving": None if champion is None else serving_of(champion),
        "serving_since": since,
        "after": tuple(newest),
        "log_head": newest_entry(store, run.model, newest),
    }
    record = _bare_record(run, outcome, reason).model_copy(update=fields)
    manifest = _manifest(store, paths)
    return record if manifest is None else _with_pins(store, paths, record, manifest)


def _bare_record(run: RunRef, outcome: Outcome, reason: str) -> DecisionRecord:
    """Return the record of a run that left nothing in the store."""
    return DecisionRecord(
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
        verdict=None,
        report=None,
        previous=None,
        serving=None,
        serving_since=None,
    )


def _with_pins(
    store: Store, paths: RunPaths, record: DecisionRecord, manifest: RunManifest
) -> DecisionRecord:
    """Add what the run pinned."""
    validated = read_if_sound(ValidateResult, store, paths.result("validate"))
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
        "forgotten": _forgotten(store, manifest),
        "rows": validated.rows if validated is not None and is_ours else None,
        "compute": compute_used(store, paths, manifest),
    }
    return record.model_copy(update=pins)


def _forgotten(store: Store, manifest: RunManifest) -> Forgotten | None:
    """Return what the run's version says that it was trained without."""
    if manifest.forget is None:
        return None
    key = layout.version_manifest_key(manifest.model, manifest.version)
    version = read_if_sound(VersionManifest, store, key)
    return None if version is None else version.forgotten


def promotion_by(
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


def served_before(log: PromotionLog, entry: PromotionEntry) -> Serving | None:
    """Return what served before an entry of the log."""
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


def read_if_sound(kind: type[AnyDocument], store: Store, key: str) -> AnyDocument | None:
    """Return a document of the store; None where there is none, or none that can be read."""
    data = store.read_if_present(key)
    try:
        return None if data is None else kind.from_bytes(data, where=key)
    except EvidenceError:
        return None  # as above
