"""What was decided on the very flag that a run finds: an event may come twice, and late."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from include.retraining.decisions.record import FINISHED, DecisionRecord, Outcome
from include.retraining.decisions.records import decisions
from include.retraining.fingerprint.pinned import Flag
from include.retraining.store.object_store import Store

LIMIT = 100


def decisions_on(store: Store, model: str, flag: Flag, *, for_run: str) -> Iterator[DecisionRecord]:
    """Yield the decisions that used up a flag as it is, the newest first.

    Not those of a dry run, nor of the run itself, which was cleared to be decided again. Reads up
    to the last decision on an earlier flag of the same address, and a hundred at most.

    Args:
        store: with the records.
        model: whose.
        flag: as it is there now.
        for_run: Airflow's id of the run that asks.
    """
    for record in decisions(store, model, limit=LIMIT):
        seen = record.flag
        if seen is None or seen.uri != flag.uri or record.outcome not in FINISHED:
            continue
        if seen.identity != flag.identity:
            return
        is_trial = record.params is not None and record.params.dry_run
        if record.run_id != for_run and not is_trial:
            yield record


def answered_by(store: Store, model: str, flag: Flag, *, for_run: str) -> DecisionRecord | None:
    """Return the newest decision that was made on a flag, None when there is none yet.

    A run that found nothing changed decided nothing by itself.
    """
    same = decisions_on(store, model, flag, for_run=for_run)
    return next((record for record in same if record.outcome is not Outcome.NO_CHANGE), None)


def first_decided_at(store: Store, model: str, flag: Flag, *, for_run: str) -> datetime | None:
    """Return when a flag was used up, None when it was not."""
    times = (record.decided_at for record in decisions_on(store, model, flag, for_run=for_run))
    return min(times, default=None)
