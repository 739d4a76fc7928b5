"""The decision that stands when a run was cleared and nothing was decided again.

Each clear of a run ends with its own record. Where no task of a clear ran, or a promotion is asked
for that no verdict allows, the earlier decision stands, and the record says just that.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from include.retraining.decisions.record import Outcome
from include.retraining.decisions.records import find_decision
from include.retraining.runs.reference import RunRef
from include.retraining.store.object_store import Store

NOT_RUN = "the run was cleared, and no task of it ran again"


class Standing(NamedTuple):
    """What an earlier clear of a run decided."""

    outcome: Outcome
    reason: str
    failed_task: str | None
    failure: str | None


def ran_again(store: Store, run: RunRef) -> bool:
    """Return whether a task of this clear of a run began (`journal.record_run_start`)."""
    return run.clear == 0 or store.exists(run.paths.goes_on(run.clear))


def standing(store: Store, run: RunRef, why: str) -> Standing | None:
    """Return the decision that stands for a cleared run that decided nothing again.

    Args:
        store: with the records.
        run: a clear of a run.
        why: nothing was decided again.

    Returns:
        None for the run itself, and where no clear before this one has a record.
    """
    for clear in range(run.clear - 1, -1, -1):
        earlier = find_decision(store, replace(run, clear=clear))
        if earlier is not None:
            # That it promoted is said by that record; this clear did not.
            promoted = earlier.outcome is Outcome.PROMOTED
            outcome = Outcome.NO_CHANGE if promoted else earlier.outcome
            reason = f"{why}; what was decided before stands: {earlier.reason}"
            return Standing(outcome, reason, earlier.failed_task, earlier.failure)
    return None
