"""End the jobs of a run that has ended: nothing waits for them, and each of them costs money.

Airflow cancels a waiting task's trigger when someone marks the task failed, but calls nothing when
that comes before the triggerer has taken the task up, or when the whole run took too long.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from include.retraining.exceptions import EvidenceError, NotFound

if TYPE_CHECKING:
    from include.retraining.runs.claims import JobClaim, JobClaims, JobStart
    from include.retraining.scoring.any_run import AnyPlan
    from include.retraining.store.layout import RunPaths
    from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)


class Stopped(NamedTuple):
    """What became of the jobs of a run that has ended."""

    ended: list[str]
    """The names of those that had not ended by themselves."""
    problems: list[str]
    """One for each that may go on."""


def stop_jobs(store: Store, paths: RunPaths, reason: str, *, clear: int) -> Stopped:
    """End every job of a plan that has not done all its steps, and forbid it to start.

    A job that was submitted a moment ago and is not listed yet finds its claim void. A platform
    that does not answer is logged and left: the run is closed all the same, and a job ends by its
    own timeout at the latest.

    Args:
        store: with the claims.
        paths: the plan's.
        reason: why, as the platform shows it.
        clear: which clear of the run has ended; the jobs of a later one are left alone.
    """
    from include.retraining.runs.claims import JobClaims
    from include.retraining.scoring.any_run import read_any_plan

    stopped = Stopped([], [])
    try:
        manifest = read_any_plan(store, paths)
    except NotFound:
        return stopped
    attempts = JobClaims(store, paths, manifest)
    for claim in attempts.claims():
        if claim.clear > clear or _is_done(store, paths, manifest, claim):
            continue
        try:
            start = attempts.void(claim)
            if _stop(attempts, claim, reason, start):
                log.info("ended %s: %s", claim.name, reason)
                stopped.ended.append(claim.name)
        except Exception as error:  # noqa: BLE001 no platform may stop the others
            stopped.problems.append(f"{claim.name}: {type(error).__name__}: {error}")
            log.warning("could not end %s", stopped.problems[-1])
    return stopped


def _is_done(store: Store, paths: RunPaths, manifest: AnyPlan, claim: JobClaim) -> bool:
    from include.retraining.scoring.any_run import find_any_result

    try:
        return all(
            find_any_result(store, paths, manifest, step) is not None for step in claim.steps
        )
    except EvidenceError:
        return False


def _stop(attempts: JobClaims, claim: JobClaim, reason: str, start: JobStart | None) -> bool:
    """End a job if it has not ended; return whether it had not.

    Args:
        attempts: of the plan.
        claim: the job's, which is void if it has not started.
        reason: why.
        start: who runs the job, None when it has not started.
    """
    if claim.compute["backend"] == "lambda":
        return start is not None and _request_stop(attempts, start, reason)
    if claim.compute["backend"] == "batch":
        from include.orchestration.backends.batch.client import BatchClient
        from include.retraining.config.batch_compute import BatchCompute

        client = BatchClient(BatchCompute.model_validate(claim.compute))
        return client.stop(claim.name, reason, started=None if start is None else start.job)
    from include.orchestration.backends.kubernetes.pod import delete_unended_pod

    return delete_unended_pod(claim)


def _request_stop(attempts: JobClaims, start: JobStart, reason: str) -> bool:
    """Ask a job that nothing but itself can end to do so; return whether it had not ended."""
    from include.retraining.runs.job_end import JobEnds

    ends = JobEnds(attempts.store, attempts.paths)
    is_over = start.ends_by is not None and start.ends_by < datetime.now(UTC)
    if is_over or ends.find(start.number) is not None:
        return False
    ends.request_stop(start.number, reason)
    return True
