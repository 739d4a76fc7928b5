"""What a step's attempt said when it failed: read from the store, or left there for the job."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from include.retraining.exceptions import JobKilled, RetrainingError, StorageError

if TYPE_CHECKING:
    from include.retraining.layout import RunPaths
    from include.retraining.results import JobStep, StepFailure
    from include.retraining.storage import Store

log = logging.getLogger(__name__)


class StepFailed(RetrainingError):
    """A step ended by itself and left word of why."""

    def __init__(self, failure: StepFailure) -> None:
        super().__init__(f"{failure.step}: {failure.message}")
        self.kind = failure.kind
        self.is_permanent = failure.is_permanent


def failure_reason(
    store: Store, paths: RunPaths, step: JobStep, attempt: str, exit_code: int
) -> RetrainingError:
    """Return why an attempt ended with an exit code other than 0."""
    failure = read_failure(store, paths, step, attempt)
    if failure is None:
        return JobKilled(f"{step}: ended with exit code {exit_code} and did not say why")
    return StepFailed(failure)


def read_failure(store: Store, paths: RunPaths, step: JobStep, attempt: str) -> StepFailure | None:
    """Return what an attempt said when it failed, None when it said nothing."""
    from include.retraining.results import StepFailure

    key = paths.failure(step)
    data = store.read_if_present(key)
    failure = None if data is None else StepFailure.from_bytes(data, where=key)
    return failure if failure is not None and failure.attempt == attempt else None


def leave_failure(store: Store, paths: RunPaths, failure: StepFailure) -> None:
    """Write down why a job ended that could not say it itself."""
    try:
        store.write(paths.failure(failure.step), failure.to_bytes())
    except StorageError as unwritten:
        log.warning("could not write down why the job ended: %s", unwritten)
