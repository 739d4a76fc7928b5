"""At most one job per step: submissions to other platforms are claimed in the store first.

After a lost answer or a lost worker, nobody knows whether a job was submitted. So each submission
is claimed in the store first, numbered and put if absent; the job's name carries its claim, and the
job records that it started before it does anything. A claim whose job the platform does not know
may be voided in the same place: only one of the two writes can be first, so a job that starts late
does nothing, and one that has started is looked up again before it is given up.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from include.retraining.config.step_names import JobStep
from include.retraining.documents import Document, sha256_of
from include.retraining.exceptions import EvidenceError, StepFailed
from include.retraining.runs.journal import follow_jobs
from include.retraining.runs.planned import Planned
from include.retraining.runs.results import StepFailure, read_failure
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)

SETTLE_SECONDS = 15.0
"""How old a claim must be before a job that the platform does not list was never submitted."""
POLL_SECONDS = 1.0
IDENTITY_VARIABLE = "RETRAINING_JOB_ID"
"""Names the job to a process that another one began it for."""


class JobState(StrEnum):
    """What a platform says of a claimed job."""

    ACTIVE = "active"
    """Submitted and not ended."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    GONE = "gone"
    """The platform does not know it: never submitted, or forgotten."""


class JobClaim(Document):
    """The right to submit one job. Put if absent, before the submission."""

    number: int
    """Of the plan, from 1."""
    steps: tuple[JobStep, ...]
    """The steps that the job runs, in order."""
    clear: int
    """Which clear of the run it was claimed in."""
    name: str
    """The job's name on its platform: letters, digits and hyphens."""
    compute: dict[str, Any]
    """Where it runs and what it may use, resolved."""
    claimed_at: datetime

    @property
    def attempt_id(self) -> str:
        """The attempt's id, unique among the attempts of the plan."""
        return f"job-{self.number:03d}"


class JobStart(Document):
    """A claimed job has started, or may not start any more. Put if absent."""

    number: int
    job: str | None
    """Who runs it; None when the claim is void."""
    at: datetime
    ends_by: datetime | None = None
    """When it has ended at the latest; None where its platform can be asked."""
    log: str | None = None
    """Where its log is, `GROUP:STREAM` of CloudWatch; None where its platform says that."""


class JobReport(Document):
    """A step's task has failed because of a job. Put if absent."""

    nonce: str
    at: datetime


def read_claims(store: Store, paths: RunPaths) -> list[JobClaim]:
    """Return the claims of a plan's jobs, oldest first."""
    claims: list[JobClaim] = []
    while (data := store.read_if_present(key := paths.job(len(claims) + 1))) is not None:
        claims.append(JobClaim.from_bytes(data, where=key))
    return claims


class JobClaims:
    """The jobs of one plan of a run."""

    def __init__(
        self,
        store: Store,
        paths: RunPaths,
        manifest: Planned,
        *,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        """Use the claims of a plan.

        Args:
            store: where they lie.
            paths: the plan's.
            manifest: the plan.
            settle_seconds: as `SETTLE_SECONDS`.
        """
        self.store = store
        self.paths = paths
        self.manifest = manifest
        self.settle_seconds = settle_seconds

    def claims(self) -> list[JobClaim]:
        """Return all claims, oldest first."""
        return read_claims(self.store, self.paths)

    def newest(self, step: JobStep) -> JobClaim | None:
        """Return the newest claim of a job that runs ``step``."""
        return next((one for one in reversed(self.claims()) if step in one.steps), None)

    def next_job(
        self,
        step: JobStep,
        steps: Sequence[JobStep],
        *,
        clear: int,
        compute: dict[str, Any],
        job_state: Callable[[JobClaim], JobState],
    ) -> tuple[JobClaim, bool]:
        """Return the job to wait for, and whether it is new and must be submitted by the caller.

        A running job is adopted, no matter which task submitted it. A permanent failure is
        reported by the first task that finds it; after that a new job may be tried. Any other
        failure is followed by a new job.

        Args:
            step: that the caller waits for.
            steps: that a new job would run.
            clear: which clear of the run this is.
            compute: of a new job, resolved.
            job_state: asks the platform for the state of a claimed job.

        Raises:
            StepFailed: when a job failed permanently and this step's task has not reported it.
            StorageError: when the store refuses or does not answer.
        """
        while True:
            claims = self.claims()
            newest = next((one for one in reversed(claims) if step in one.steps), None)
            # A card shows the verdict of its own clear.
            is_other = newest is not None and step == "card" and newest.clear != clear
            can_answer = newest is not None and not is_other and not self._is_void(newest)
            if newest is not None and can_answer and self._is_the_answer(newest, step, job_state):
                return newest, False
            claim = self._claim(len(claims) + 1, steps, clear=clear, compute=compute)
            if claim is not None:
                return claim, True

    def failure(self, claim: JobClaim) -> StepFailure | None:
        """Return the failure that a job recorded, None when it recorded none."""
        for step in claim.steps:
            failure = read_failure(self.store, self.paths, step, claim.attempt_id)
            if failure is not None:
                return failure
        return None

    def report_once(self, claim: JobClaim, step: JobStep) -> bool:
        """Return True to the first caller that fails a step's task because of this job."""
        # Of its own content: the store takes an equal object for this writer's lost answer.
        report = JobReport(nonce=uuid.uuid4().hex, at=datetime.now(UTC))
        return self.store.create(self.paths.job_reported(claim.number, step), report.to_bytes())

    def started(self, claim: JobClaim) -> JobStart | None:
        """Return who runs a claimed job, None when it has not started."""
        key = self.paths.job_started(claim.number)
        data = self.store.read_if_present(key)
        return None if data is None else JobStart.from_bytes(data, where=key)

    def void(self, claim: JobClaim) -> JobStart | None:
        """Forbid a claimed job to start; return its start if it was faster, else None."""
        start = self._start(JobStart(number=claim.number, job=None, at=datetime.now(UTC)))
        return None if start.job is None else start

    def begin(
        self,
        number: int,
        step: JobStep,
        *,
        identity: str | None = None,
        ends_by: datetime | None = None,
        log: str | None = None,
    ) -> None:
        """Record that this process is the claimed job. The first thing that a job does.

        Args:
            number: the claim's.
            step: that the job runs.
            identity: of the job; this process's if it is not given.
            ends_by: as `JobStart.ends_by`.
            log: as `JobStart.log`.

        Raises:
            EvidenceError: when there is no such claim, or it is another's or void.
        """
        key = self.paths.job(number)
        data = self.store.read_if_present(key)
        if data is None or step not in JobClaim.from_bytes(data, where=key).steps:
            raise EvidenceError(f"{self.store.uri}/{key}: claims no job for {step!r}")
        identity = identity or job_identity()
        start = self._start(
            JobStart(number=number, job=identity, at=datetime.now(UTC), ends_by=ends_by, log=log)
        )
        if start.job is None:
            raise EvidenceError(f"{key}: this job came too late: its claim is void; nothing done")
        if start.job != identity:
            raise EvidenceError(f"{key}: {start.job} runs under this claim already; nothing done")

    def _start(self, start: JobStart) -> JobStart:
        """Record who runs a job, or that its claim is void, and return what is stored now."""
        key = self.paths.job_started(start.number)
        if self.store.create(key, start.to_bytes()):
            return start
        return JobStart.from_bytes(self.store.read(key), where=key)

    def _settled_state(
        self, claim: JobClaim, job_state: Callable[[JobClaim], JobState]
    ) -> JobState:
        """Return a job's state once it is known, or once its claim is old enough to be gone."""
        while (state := job_state(claim)) is JobState.GONE:
            age = (datetime.now(UTC) - claim.claimed_at).total_seconds()
            if age > self.settle_seconds or self.failure(claim) is not None:
                break
            time.sleep(POLL_SECONDS)
        return state

    def _is_the_answer(
        self, claim: JobClaim, step: JobStep, job_state: Callable[[JobClaim], JobState]
    ) -> bool:
        """Return whether a job runs, or has ended and its evidence is still to be checked.

        Raises:
            StepFailed: when it failed permanently and that was not reported yet.
        """
        state = self._settled_state(claim, job_state)
        if state is JobState.GONE and self.void(claim) is not None:
            state = job_state(claim)  # it started after the first check
        if state is JobState.ACTIVE:
            return True
        if state is JobState.SUCCEEDED:
            return self.report_once(claim, step)
        failure = self.failure(claim)
        if failure is not None and failure.is_permanent and self.report_once(claim, step):
            raise StepFailed(
                f"{failure.step}: {failure.message}", kind=failure.kind, is_permanent=True
            )
        log.info(
            "%s (%s) is %s: the next attempt begins", claim.name, claim.attempt_id, state.value
        )
        return False

    def _is_void(self, claim: JobClaim) -> bool:
        start = self.started(claim)
        return start is not None and start.job is None

    def _claim(
        self, number: int, steps: Sequence[JobStep], *, clear: int, compute: dict[str, Any]
    ) -> JobClaim | None:
        """Claim the next number; None when another was faster."""
        claim = JobClaim(
            number=number,
            steps=tuple(steps),
            clear=clear,
            name=self._name(number, steps[0]),
            compute=compute,
            claimed_at=datetime.now(UTC),
        )
        follow_jobs(self.store, self.paths, clear)  # so that no claim is ever unknown to the watch
        return claim if self.store.create(self.paths.job(number), claim.to_bytes()) else None

    def _name(self, number: int, step: JobStep) -> str:
        """Return a job's name: determined by the claim's number, at most 63 characters.

        The plan's address is in it, so that two stores never take each other's jobs for their own.
        """
        model = self.paths.model.replace("_", "-")[:16].rstrip("-")
        plan = sha256_of(self.paths.uri(self.store.uri).encode())[:8]
        return f"retrain-{model}-{step}-{self.manifest.fingerprint[:8]}-{plan}-{number}"


def job_identity() -> str:
    """Return this job's identity: the same when its platform starts it again."""
    named = os.environ.get(IDENTITY_VARIABLE) or os.environ.get("AWS_BATCH_JOB_ID")
    return named or f"{os.environ.get('HOSTNAME') or socket.gethostname()}:{os.getpid()}"
