"""The failure of a step's attempt: read from the store, or recorded there for the job."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from include.retraining.exceptions import InfrastructureError, StorageError
from include.retraining.formatting.text import truncate
from include.retraining.runs.exit_protocol import EXIT_RETRY, read_last_line

if TYPE_CHECKING:
    from include.retraining.config.step_names import JobStep
    from include.retraining.exceptions import StepFailed
    from include.retraining.runs.results import StepFailure
    from include.retraining.store.layout import RunPaths
    from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)

MAX_LENGTH = 500
"""Characters of a platform's words that a message repeats."""


class SubmissionLost(InfrastructureError):
    """A job was submitted or not: no answer, and no sign of it."""

    kind = "submission_lost"


def failure_reason(
    store: Store, paths: RunPaths, step: JobStep, attempt: str, *, exit_code: int, last_line: str
) -> StepFailed:
    """Return why an attempt ended with an exit code other than 0.

    A job that failed before it opened the store could record nothing there; then its last line
    says why. Any other last line is not repeated: it may hold values of the data.
    """
    from include.retraining.exceptions import StepFailed
    from include.retraining.runs.results import read_failure

    failure = read_failure(store, paths, step, attempt)
    if failure is not None:
        message, kind = failure.message, failure.kind
        return StepFailed(f"{step}: {message}", kind=kind, is_permanent=failure.is_permanent)
    is_permanent = exit_code != EXIT_RETRY
    said = read_last_line(last_line, step)
    if said is not None:
        return StepFailed(f"{step}: {said.message}", kind=said.kind, is_permanent=is_permanent)
    message = f"{step}: ended with exit code {exit_code}; the end of the task's log says more"
    return StepFailed(message, kind="error", is_permanent=is_permanent)


def record_failure(store: Store, paths: RunPaths, failure: StepFailure) -> None:
    """Record why a job ended that could not record it itself."""
    from include.retraining.runs.results import write_failure

    try:
        write_failure(store, paths, failure)
    except StorageError as unwritten:
        log.warning("could not write down why the job ended: %s", unwritten)


def one_line(text: object) -> str:
    """Return what a platform says in one line, empty when it says nothing."""
    return truncate(str(text or ""), MAX_LENGTH)
