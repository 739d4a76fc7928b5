"""Why a job on AWS Batch failed or never started, read from its DescribeJobs entry.

Without boto: pure functions of that answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from include.orchestration.backends.failure import one_line
from include.retraining.exceptions import JobKilled, RetrainingError, StepFailed

if TYPE_CHECKING:
    from include.retraining.config.batch_compute import BatchCompute

# Batch's text for a lost host; it is ECS's reason for a task that stopped.
# https://docs.aws.amazon.com/batch/latest/userguide/best-practices.html#bestpractice8
HOST_LOST = {"ec2": "Host EC2", "fargate": "Your Spot Task was interrupted"}
TIMED_OUT = "Job attempt duration exceeded timeout"
KILLED = 137
# Of an image that cannot be pulled now and perhaps can later.
_PASSING = re.compile(r"(?i)time.?out|deadline|temporar|too.?many|connection|unavailable|reset")


def why_failed(job: dict[str, Any], compute: BatchCompute) -> RetrainingError | None:
    """Return Batch's reason for a failed job; None when its container ended by itself.

    Args:
        job: its DescribeJobs entry.
        compute: what it asked for.
    """
    attempts = job.get("attempts") or []
    container = attempts[-1].get("container", {}) if attempts else {}
    said, reason = one_line(job.get("statusReason")), one_line(container.get("reason"))
    if said == TIMED_OUT:
        return StepFailed(
            f"took longer than {compute.timeout_seconds:g} s (timeout_seconds)",
            kind="timeout",
            is_permanent=True,
        )
    if job.get("isTerminated"):
        return JobKilled(f"the job was ended from outside: {said}")
    if said.startswith(tuple(HOST_LOST.values())):
        tries = f" in each of {len(attempts)} attempts" if len(attempts) > 1 else ""
        return JobKilled(f"the job's host was lost{tries}: {said}")
    if container.get("exitCode") is None and not reason:
        return JobKilled(f"the job failed before it started: {said or 'Batch gives no reason'}")
    return _why_container_failed(container.get("exitCode"), reason, compute)


def _why_container_failed(
    exit_code: int | None, reason: str, compute: BatchCompute
) -> RetrainingError | None:
    if reason.startswith("OutOfMemory") or exit_code == KILLED:
        return StepFailed(
            f"out of memory: the job was killed; it asked for {compute.memory}: give the step more "
            f"(compute.….memory){f' ({reason})' if reason else ''}",
            kind="out_of_memory",
            is_permanent=True,
        )
    if "CannotPull" in reason:
        return StepFailed(
            f"the image {compute.image} cannot be pulled: {reason}",
            kind="image",
            is_permanent=_PASSING.search(reason) is None,
        )
    if exit_code is None:
        return JobKilled(f"the job's container did not start: {reason}")
    return None


def no_capacity(job: dict[str, Any], compute: BatchCompute, *, seconds: float) -> StepFailed:
    """Return the error for a job that got no machine within ``seconds``."""
    said = one_line(job.get("statusReason"))
    return StepFailed(
        f"no capacity: the job waited {seconds / 60:.0f} min in queue {compute.queue}"
        f"{f' ({said})' if said else ''}",
        kind="no_capacity",
        is_permanent=False,
    )
