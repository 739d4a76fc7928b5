"""Reading decision records: what a run decided, on which data, by which code, and why.

The promotion log is the truth: what was recorded as failed and was promoted after all is read as
promoted.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from include.retraining.decisions.gathering import REASON_LENGTH, promotion_by, served_before
from include.retraining.decisions.record import FINISHED, DecisionRecord, Outcome
from include.retraining.decisions.record_files import (
    decision_keys,
    newest_decision_keys,
    read_record,
)
from include.retraining.formatting.text import truncate
from include.retraining.gate.verdict import Verdict
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion_log import PromotionLog, serving_of
from include.retraining.runs.reference import RunRef
from include.retraining.store.object_store import Store


def find_decision(store: Store, run: RunRef) -> DecisionRecord | None:
    """Return a run's terminal record as the promotion log confirms it, or None before its end."""
    record = read_record(store, run.paths.decision(run.clear))
    return None if record is None else corrected_by_log(store, record)


def decisions(
    store: Store,
    model: str,
    *,
    limit: int | None = None,
    written_since: datetime | None = None,
) -> Iterator[DecisionRecord]:
    """Yield a model's decision records, that of the run due last first, read one by one.

    Args:
        store: with the records.
        model: whose.
        limit: at most so many.
        written_since: leave out records that were written before this; all are listed for it.

    Raises:
        EvidenceError: for a record that cannot be read.
    """
    if written_since is None:
        keys = newest_decision_keys(store, model)
    else:
        keys = iter(decision_keys(store, model, written_since=written_since))
    for key in islice(keys, limit):
        record = read_record(store, key)
        if record is not None:
            yield corrected_by_log(store, record)


def consumed_flag(store: Store, model: str, flag_uri: str, *, for_run: str) -> str | None:
    """Return the identity of a flag that the newest finished decision on it consumed.

    A dry run consumes nothing, and what a run itself consumed is not old to it: a user who clears
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


def corrected_by_log(store: Store, record: DecisionRecord) -> DecisionRecord:
    """Return a record, as promoted if the promotion log has an entry made by its verdict."""
    if record.outcome is Outcome.PROMOTED or record.verdict is None or not record.verdict.passed:
        return record
    log = PromotionLog(store, record.model)
    entry = promotion_by(log, record.run_id, record.clear, record.verdict)
    return record if entry is None else _as_promoted(store, record, record.verdict, entry)


def _as_promoted(
    store: Store, record: DecisionRecord, verdict: Verdict, entry: PromotionEntry
) -> DecisionRecord:
    late = f"recorded as {record.outcome.value} before it was promoted ({record.reason})"
    changes = {
        "outcome": Outcome.PROMOTED,
        "reason": truncate(f"{verdict.headline}; {late}", REASON_LENGTH),
        "decided_at": entry.created_at,
        "version": entry.version,
        "previous": served_before(PromotionLog(store, record.model), entry),
        "serving": serving_of(entry),
        "serving_since": entry.created_at,
    }
    return record.model_copy(update=changes)
