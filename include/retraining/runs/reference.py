"""Which run is meant, also when it left nothing in the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from include.retraining.runs.manifest import TriggeredBy
from include.retraining.store.layout import RunKind, RunPaths, run_key


@dataclass(frozen=True)
class RunRef:
    """Which run is meant, also when it left nothing in the store."""

    model: str
    dag_id: str
    run_id: str
    run_after: datetime
    clear: int
    """0 for the run itself, then one more each time it was cleared."""
    cause: TriggeredBy
    kind: RunKind = "runs"

    @property
    def paths(self) -> RunPaths:
        """The keys of the run's first plan."""
        return RunPaths(self.model, run_key(self.run_id, self.run_after), self.kind)
