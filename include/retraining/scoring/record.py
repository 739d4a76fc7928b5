"""What a scoring run did: one record per run and clear, written once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

from include.retraining.documents import Document
from include.retraining.exceptions import DataRejected, DeliveryError, MissingObject
from include.retraining.runs.manifest import TriggeredBy
from include.retraining.runs.reference import RunRef
from include.retraining.scoring.refusals import RefusedPartition
from include.retraining.scoring.result import FailedPartition, ScoredPartition, ScoreResult
from include.retraining.store.layout import scored_folder
from include.retraining.store.object_store import Store

LAST_TASK = "require_all_scored"
"""The task that fails where something was not scored, after the others were announced."""


class ScoreOutcome(StrEnum):
    """How a scoring run ended."""

    SCORED = "scored"
    """Each partition that was due has the scores of the champion."""
    REFUSED = "refused"
    """An input cannot be accepted or breaks the contract of the features; others are scored."""
    FAILED = "failed"
    """Something broke. Partitions that were not finished have the scores that they had; those that
    were are named."""


class ScoreRecord(Document):
    """What a scoring run did. Put if absent."""

    format: int = 1
    model: str
    dag_id: str
    run_id: str
    clear: int
    run_after: datetime
    cause: TriggeredBy
    created_at: datetime
    outcome: ScoreOutcome
    reason: str
    """One sentence."""
    partitions: tuple[ScoredPartition, ...] = ()
    refused: tuple[RefusedPartition, ...] = ()
    failed: tuple[FailedPartition, ...] = ()
    graded: tuple[str, ...] = ()
    """As `ScoreResult.graded`."""
    ungraded: tuple[FailedPartition, ...] = ()
    """As `ScoreResult.ungraded`: no reason for another outcome."""
    failed_task: str | None = None
    failure: str | None = None
    """The kind of the first cause (`RetrainingError.kind`)."""


def write_record(
    store: Store,
    run: RunRef,
    outcome: ScoreOutcome,
    reason: str,
    *,
    partitions: tuple[ScoredPartition, ...] = (),
    refused: tuple[RefusedPartition, ...] = (),
    failed: tuple[FailedPartition, ...] = (),
    graded: tuple[str, ...] = (),
    ungraded: tuple[FailedPartition, ...] = (),
    failed_task: str | None = None,
    failure: str | None = None,
) -> ScoreRecord:
    """Record what a run did, unless it has a record; return the one that is stored.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    record = ScoreRecord(
        model=run.model,
        dag_id=run.dag_id,
        run_id=run.run_id,
        clear=run.clear,
        run_after=run.run_after,
        cause=run.cause,
        created_at=datetime.now(UTC),
        outcome=outcome,
        reason=reason,
        partitions=partitions,
        refused=refused,
        failed=failed,
        graded=graded,
        ungraded=ungraded,
        failed_task=failed_task,
        failure=failure,
    )
    if store.create(run.paths.scored(run.clear), record.to_bytes()):
        return record
    return find_record(store, run) or record


def record_of_result(store: Store, run: RunRef, result: ScoreResult) -> ScoreRecord:
    """Record what a run scored and what it did not, as its verified result says.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    outcome, failure = ScoreOutcome.SCORED, None
    if result.failed:
        outcome, failure = ScoreOutcome.FAILED, result.failed[0].kind
    elif result.refused:
        outcome, failure = ScoreOutcome.REFUSED, DataRejected.kind
    return write_record(
        store,
        run,
        outcome,
        reason_of(result),
        partitions=result.partitions,
        refused=result.refused,
        failed=result.failed,
        graded=result.graded,
        ungraded=result.ungraded,
        failed_task=None if failure is None else LAST_TASK,
        failure=failure,
    )


def record_of_refusals(
    store: Store, run: RunRef, refused: tuple[RefusedPartition, ...], *, failed_task: str
) -> ScoreRecord:
    """Record that a run had nothing to score but inputs that cannot be accepted.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    return write_record(
        store,
        run,
        ScoreOutcome.REFUSED,
        _first_of(refused, "is refused"),
        refused=refused,
        failed_task=failed_task,
        failure=DeliveryError.kind,
    )


def reason_of(result: ScoreResult) -> str:
    """Return in a sentence what a result has, what is wrong first."""
    parts = []
    if result.failed:
        parts.append(_first_of(result.failed, "could not be scored"))
    if result.refused:
        parts.append(_first_of(result.refused, "is refused"))
    scored = ", ".join(f"{one.name} ({one.rows:,} rows)" for one in result.partitions)
    versions = ", ".join(sorted({one.version for one in result.partitions}))
    if scored:
        parts.append(f"scored {scored} by version {versions}")
    if result.outdated:
        again = ", ".join(result.outdated)
        parts.append(f"delivered again since the run was planned, for the next one: {again}")
    if result.graded:
        parts.append(f"graded by labels that came since: {len(result.graded):,}")
    if result.ungraded:
        parts.append(_first_of(result.ungraded, "could not be graded"))
    return "; ".join(parts) or "nothing was scored"


def _first_of(partitions: Sequence[RefusedPartition | FailedPartition], what: str) -> str:
    others = len(partitions) - 1
    more = f", and {others:,} more" if others else ""
    return f"{partitions[0].name} {what}{more}: {partitions[0].why}"


def find_record(store: Store, run: RunRef) -> ScoreRecord | None:
    """Return the record of a clear of a run, None when it has none.

    Raises:
        EvidenceError: when it cannot be parsed.
    """
    return _read(store, run.paths.scored(run.clear))


def newest_records(store: Store, model: str, limit: int) -> list[ScoreRecord]:
    """Return a model's newest records, the newest first.

    Raises:
        EvidenceError: when one cannot be parsed.
        StorageError: when the store refuses or does not answer.
    """
    keys = [info.key for info in store.children(scored_folder(model))[1]]
    records = (_read(store, key) for key in sorted(keys, reverse=True)[:limit])
    return [record for record in records if record is not None]


def _read(store: Store, key: str) -> ScoreRecord | None:
    try:
        return ScoreRecord.from_bytes(store.read(key), where=key)
    except MissingObject:
        return None
