"""What of a model was scored last, and by which version: for the pages and the command line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from include.retraining.scoring.record import ScoreOutcome, newest_records
from include.retraining.scoring.result import ScoredPartition
from include.retraining.store.object_store import Store

RECORDS_READ = 10
"""How many records are read back for one that scored."""


@dataclass(frozen=True)
class ScoringState:
    """What of a model was scored last."""

    newest: ScoredPartition | None
    """The newest partition of the last run that scored: its name, version, generation, rows,
    address, and the rows that the version does not know; None when none of the last runs scored."""
    scored_at: datetime | None
    """When that was."""
    failed_because: str | None
    """Why the newest run did not score everything; None when it did."""

    @property
    def unknown_rows(self) -> int:
        """Rows with a value that the version was not trained on, of the column that has most."""
        return max(self.newest.unknown.values(), default=0) if self.newest else 0


def scoring_state(store: Store, model: str) -> ScoringState | None:
    """Return what of a model was scored last; None when no scoring run left a record.

    A listing and, where the newest run scored, one read.

    Raises:
        EvidenceError: when a record cannot be parsed.
        StorageError: when the store refuses or does not answer.
    """
    records = newest_records(store, model, 1)
    if not records:
        return None
    failed = None if records[0].outcome is ScoreOutcome.SCORED else records[0].reason
    if failed is not None or not records[0].partitions:  # it failed, or only graded
        records = newest_records(store, model, RECORDS_READ)
    scored = next((record for record in records if record.partitions), None)
    if scored is None:
        return ScoringState(None, None, failed)
    newest = max(scored.partitions, key=lambda partition: partition.name)
    return ScoringState(newest, scored.created_at, failed)
