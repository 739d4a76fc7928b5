"""Why a job on AWS Lambda failed, read from what it left in the store: Lambda itself says nothing.

Pure functions of that.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, NamedTuple

from include.retraining.exceptions import JobKilled, RetrainingError, StepFailed

if TYPE_CHECKING:
    from include.retraining.config.lambda_compute import LambdaCompute
    from include.retraining.runs.claims import JobStart
    from include.retraining.runs.job_end import JobEnd, JobStop


class LambdaJob(NamedTuple):
    """A job that has started, as the store shows it."""

    start: JobStart
    end: JobEnd | None
    stop: JobStop | None
    """Why it is to end, where somebody wants that."""
    is_overdue: bool
    """Whether its function must have ended by now."""


def why_failed(job: LambdaJob, compute: LambdaCompute) -> RetrainingError | None:
    """Return why a job did not end by itself, None when it did.

    Args:
        job: that has ended, or is overdue.
        compute: what its function has.
    """
    if job.end is None:
        return JobKilled(
            "the function ended and left neither a result nor a failure: out of memory (it has "
            f"{compute.memory}), at its own timeout, or its host was lost; the line REPORT of its "
            "log says which"
        )
    if job.end.how == "timed_out":
        return StepFailed(
            f"took longer than {compute.timeout_seconds:g} s (timeout_seconds), or until ten "
            "seconds before the function's own timeout",
            kind="timeout",
            is_permanent=True,
        )
    if job.end.how == "stopped":
        reason = "" if job.stop is None else job.stop.reason
        return JobKilled(f"the job was ended from outside: {reason}")
    if job.end.exit_code == -signal.SIGKILL:
        return StepFailed(
            f"out of memory: the job was killed; the function has {compute.memory}: give the step "
            "a function with more (compute.….memory)",
            kind="out_of_memory",
            is_permanent=True,
        )
    return None


def not_started(compute: LambdaCompute) -> StepFailed:
    """Return the error for a job that was not started in time."""
    return StepFailed(
        f"the function {compute.function} did not start the job within "
        f"{compute.startup_timeout_seconds:g} s: Lambda had no capacity (concurrency), the image "
        "did not start, or the function's role or network may not reach the store; its log says "
        "which",
        kind="not_started",
        is_permanent=False,
    )
