"""The audit of a period: who triggered and approved what, on which code and data, and the answer.

The facts are those of the promotion logs and the decision records of every model that ever left
anything in the store. The log is authoritative: every entry of it is one row, even if the run's
record is missing. Only what may be of the period is read: what was written since its start, of runs
that were due before its end. What of that cannot be read is a row, because its time is unknown;
`verify` reads everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.decisions.record_files import keys_in, read_record
from include.retraining.documents import Document, sha256_of
from include.retraining.exceptions import ArtifactError, EvidenceError, NotFound, RegistryError
from include.retraining.fingerprint.pinned import Code, PinnedFile
from include.retraining.registry.entry import PromotionEntry, PromotionKind
from include.retraining.registry.promotion_log import CLOCK_TOLERANCE, ENTRY_NAME, PromotionLog
from include.retraining.registry.versions import find_version
from include.retraining.store.layout import decisions_folder, promotion_key
from include.retraining.store.object_store import Store

UNREADABLE = "unreadable"
RUN = "run"


class AuditRow(Document):
    """One decision of a run, one manual entry, or one object that cannot be read."""

    at: datetime | None = None
    """When it was decided; None for what cannot be read."""
    model: str
    what: str
    """`run` (its decision), `rollback`, `release`, `unjudged_champion`, `promotion` (of a run that
    left no record), or `unreadable`."""
    outcome: str | None = None
    """Of a run (`record.Outcome`); what the log promoted is `promoted`."""
    generation: int | None = None
    """Of the entry in the promotion log, where this is one."""
    version: str | None = None
    """The challenger; for an entry of the log, the version that serves from then on."""
    reason: str | None = None
    run_id: str | None = None
    clear: int | None = None
    due: datetime | None = None
    """When the run was due."""
    run_type: str | None = None
    """Airflow's type of the run: `scheduled`, `manual`, …"""
    triggered_by: str | None = None
    """The user who triggered the run, or who asked for a manual entry."""
    trigger_reason: str | None = None
    """What that person gave as a reason."""
    is_dry_run: bool | None = None
    is_forced: bool | None = None
    """Whether it trained although nothing had changed."""
    promoted_by: str | None = None
    """The actor of the entry: a user, or the DAG."""
    approval: str | None = None
    """`approve`, `reject` or `expired`, where an approval was required."""
    approved_by: str | None = None
    """Who answered."""
    approved_at: datetime | None = None
    approval_note: str | None = None
    git_sha: str | None = None
    image: str | None = None
    core_digest: str | None = None
    """Of `include/retraining/`."""
    model_digest: str | None = None
    """Of the model's own code."""
    lock_digest: str | None = None
    wiring_digest: str | None = None
    """Of `dags/` and `include/orchestration/`."""
    training_digest: str | None = None
    """Of all that can change the model: with another one it is trained again."""
    judging_digest: str | None = None
    """Of what checks the data, scores and judges: by another one a version is judged again."""
    python: str | None = None
    extras: str | None = None
    """The libraries of the model's extras, like `lightgbm==4.7.0`, with a blank between two."""
    fingerprint: str | None = None
    """Of all that can change the model: files, code, configuration, seed."""
    data_location: str | None = None
    files: tuple[PinnedFile, ...] = ()
    """The data, by name, size and SHA-256."""
    config_digest: str | None = None
    policy_digest: str | None = None
    evidence: str
    """The key in the store of the evidence."""


def audit(store: Store, models: Iterable[str], start: datetime, end: datetime) -> list[AuditRow]:
    """Return what happened in a period, oldest first, and then what cannot be read.

    An audit may begin where the last one ended: it costs what happened since, and a listing.

    Args:
        store: with the evidence.
        models: their names.
        start: the first moment of the period; it must know its time zone.
        end: the first moment behind it.

    Raises:
        StorageError: when the store refuses or does not answer: half an audit is none.
    """
    rows = [row for model in models for row in _of_model(store, model, start, end)]
    dated = [row for row in rows if row.at is not None and start <= row.at < end]
    dated.sort(key=lambda row: (row.at, row.model, row.generation or 0))
    return [*dated, *(row for row in rows if row.at is None)]


def _of_model(store: Store, model: str, start: datetime, end: datetime) -> Iterator[AuditRow]:
    try:
        log = PromotionLog(store, model)
    except NotFound as error:
        yield _unreadable(model, f"models/{model}", error)
        return
    entries, damages = _entries(log, start)
    yield from damages
    entries = [entry for entry in entries if entry.created_at < end + CLOCK_TOLERANCE]
    promotions = {(entry.run_id, entry.clear): entry for entry in entries if _is_of_a_run(entry)}
    with ThreadPoolExecutor(max_workers=8) as pool:
        for key, record in zip(
            keys := _keys(store, model, entries, start, end),
            pool.map(lambda key: _record(store, model, key), keys),
            strict=True,
        ):
            if isinstance(record, AuditRow):
                yield record
                continue
            entry = promotions.pop((record.run_id, record.clear), None)
            if entry is None and record.outcome is Outcome.PROMOTED:
                entry = _promotion_of(log, record)  # one that was recorded long after
            yield _decision(record, entry, key)
            if record.outcome is Outcome.PROMOTED and entry is None:
                yield _unreadable(model, key, "is recorded as promoted, and not in the log")
    by_hand = [entry for entry in entries if not _is_of_a_run(entry)]
    for entry in [*promotions.values(), *by_hand]:
        if start <= entry.created_at < end:
            yield from _entry(store, entry)


def _is_of_a_run(entry: PromotionEntry) -> bool:
    return entry.kind is PromotionKind.PROMOTION


def _promotion_of(log: PromotionLog, record: DecisionRecord) -> PromotionEntry | None:
    entries, _ = log.examine()
    own = (entry for entry in entries if _is_of_a_run(entry))
    made_by = (record.run_id, record.clear)
    return next((entry for entry in own if (entry.run_id, entry.clear) == made_by), None)


def _keys(
    store: Store, model: str, entries: Iterable[PromotionEntry], start: datetime, end: datetime
) -> list[str]:
    """Return the keys of the records that may be of a period, or of the runs of some entries."""
    listed = store.children(decisions_folder(model))[1]
    since = start - CLOCK_TOLERANCE
    written = set(keys_in(info for info in listed if info.last_modified >= since))
    last = (end + CLOCK_TOLERANCE).astimezone(UTC).strftime("%Y%m%dT%H%M%S")
    # A record that the log contradicts may have been written before its entry.
    promoted = tuple(
        f"-{sha256_of(entry.run_id.encode())[:8]}.{entry.clear or 0:03d}.json"
        for entry in entries
        if entry.run_id is not None
    )
    return [
        key
        for key in keys_in(listed)
        if (key in written and key.rpartition("/")[2] < last) or key.endswith(promoted)
    ]


def _entries(log: PromotionLog, start: datetime) -> tuple[list[PromotionEntry], list[AuditRow]]:
    """Return the entries since a time, or more, and what is wrong with the log.

    Where anything is wrong, all that can be read.
    """
    since = start - CLOCK_TOLERANCE
    if all(ENTRY_NAME.fullmatch(name) for name in log.names()):
        with suppress(RegistryError):
            return list(takewhile(lambda one: one.created_at >= since, log.newest_first())), []
    return _all_entries(log)


def _all_entries(log: PromotionLog) -> tuple[list[PromotionEntry], list[AuditRow]]:
    """Return every entry that can be read, and what is wrong with the log."""
    entries: list[PromotionEntry] = []
    damages: list[AuditRow] = []
    for name in log.names():
        key = f"{log.folder}/{name}"
        if not ENTRY_NAME.fullmatch(name):
            damages.append(_unreadable(log.model, key, "is not an entry of the log"))
            continue
        try:
            entries.append(PromotionEntry.from_bytes(log.store.read(key), where=key))
        except EvidenceError as error:
            damages.append(_unreadable(log.model, key, error))
    if not damages:
        try:
            log.history()
        except RegistryError as error:  # each can be read, but one was altered or is missing
            damages.append(_unreadable(log.model, log.folder, error))
    return entries, damages


def _record(store: Store, model: str, key: str) -> DecisionRecord | AuditRow:
    try:
        record = read_record(store, key)
    except EvidenceError as error:
        return _unreadable(model, key, error)
    return record or _unreadable(model, key, "is missing beside its correction")


def _unreadable(model: str, key: str, problem: object) -> AuditRow:
    return AuditRow(model=model, what=UNREADABLE, reason=str(problem), evidence=key)


def _decision(record: DecisionRecord, entry: PromotionEntry | None, key: str) -> AuditRow:
    """Return the row of a run's decision, according to the log."""
    params, approval, delivery = record.params, record.approval, record.delivery
    facts: dict[str, Any] = {
        "outcome": record.outcome.value,
        "version": record.version,
        "reason": record.reason,
        "due": record.run_after,
        "run_type": record.cause.run_type,
        "triggered_by": record.cause.user,
        "fingerprint": record.fingerprint,
        "config_digest": record.config_digest,
        "policy_digest": record.policy_digest,
        **_code(record.code),
    }
    if params is not None:
        facts["trigger_reason"] = params.reason
        facts["is_dry_run"], facts["is_forced"] = params.dry_run, params.force_retrain
    if approval is not None:
        facts["approval"] = "expired" if approval.is_expired else approval.choice
        facts["approved_by"], facts["approved_at"] = approval.by, approval.answered_at
        facts["approval_note"] = approval.note
    if delivery is not None:
        facts["data_location"], facts["files"] = delivery.location, delivery.files
    if entry is not None:
        facts["outcome"], facts["version"] = Outcome.PROMOTED.value, entry.version
        facts["generation"], facts["promoted_by"] = entry.generation, entry.actor
    return AuditRow(
        at=record.decided_at if entry is None else entry.created_at,
        model=record.model,
        what=RUN,
        run_id=record.run_id,
        clear=record.clear,
        evidence=key,
        **facts,
    )


def _entry(store: Store, entry: PromotionEntry) -> Iterator[AuditRow]:
    """Yield the row of an entry without a record, with the code and data of its version."""
    is_of_a_run = _is_of_a_run(entry)
    version, problem = None, f"version {entry.version}, which it promotes, is missing"
    key = promotion_key(entry.model, entry.generation)
    try:
        version = find_version(store, entry.model, entry.version, digest=entry.version_digest)
    except (ArtifactError, EvidenceError) as error:
        problem = str(error)
    facts: dict[str, Any] = {}
    if version is None:
        yield _unreadable(entry.model, key, problem)
    else:
        facts = {"fingerprint": version.fingerprint, "files": version.data, **_code(version.code)}
    yield AuditRow(
        at=entry.created_at,
        model=entry.model,
        what=entry.kind.value,
        outcome=Outcome.PROMOTED.value if is_of_a_run else None,
        generation=entry.generation,
        version=entry.version,
        reason=entry.reason,
        run_id=entry.run_id,
        clear=entry.clear,
        triggered_by=None if is_of_a_run else entry.actor,
        promoted_by=entry.actor,
        evidence=key,
        **facts,
    )


def _code(code: Code | None) -> dict[str, Any]:
    if code is None:
        return {}
    libraries = " ".join(library for extra in code.extras for library in extra.libraries)
    return {**code.model_dump(exclude={"extras", "scorers"}), "extras": libraries or None}
