"""One step of a run whose job runs elsewhere: what is there already, and whether it is evidence."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow.sdk import Context

from include.orchestration.backends.failure import record_failure
from include.orchestration.backends.grading import has_nothing_to_grade
from include.orchestration.runtime.bundle import assert_own_bundle
from include.orchestration.runtime.run_reference import run_reference
from include.orchestration.runtime.store import open_store
from include.retraining.config.step_names import WITHOUT_RESULT
from include.retraining.exceptions import EvidenceError, RetrainingError

if TYPE_CHECKING:
    from include.retraining.config.step_names import JobStep
    from include.retraining.runs.claims import JobClaim, JobClaims
    from include.retraining.scoring.any_run import AnyPlan
    from include.retraining.store.layout import RunPaths
    from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)

RUN_ENDED = "the run has ended in Airflow"
"""Why a job is ended whose run is over, as its platform shows it."""


@dataclass(frozen=True)
class RemoteStep:
    """One step of a run, from the view of the task that waits for it."""

    step: JobStep
    store: Store
    paths: RunPaths
    manifest: AnyPlan
    run_id: str
    clear: int

    @property
    def job_claims(self) -> JobClaims:
        """The claims of the run's plan."""
        from include.retraining.runs.claims import JobClaims

        return JobClaims(self.store, self.paths, self.manifest)

    @property
    def run_uri(self) -> str:
        """The address that a job is started with."""
        return self.paths.uri(self.store.uri)

    @property
    def result_uri(self) -> str | None:
        """The address of the step's result; None for a step that leaves none."""
        if self.step in WITHOUT_RESULT:
            return None
        return f"{self.store.uri}/{self.paths.result(self.step)}"

    def is_done(self) -> bool:
        """Return whether the step's verified result is there; then no job is needed.

        A result that does not verify is no evidence: the job that is started then replaces it.
        """
        from include.retraining.scoring.any_run import find_any_result

        if has_nothing_to_grade(self.step, self.store, self.manifest):
            return True
        try:
            return find_any_result(self.store, self.paths, self.manifest, self.step) is not None
        except EvidenceError as error:
            log.warning("the result that is there is no evidence: %s", error)
            return False

    def check_evidence(self, claim: JobClaim) -> None:
        """Check the result of a job that succeeded according to its platform: that is no evidence.

        Raises:
            EvidenceError: when it is missing, altered or of something else. The next try of the
                task starts another job.
        """
        from include.retraining.scoring.any_run import require_any_result

        try:
            require_any_result(self.store, self.paths, self.manifest, self.step)
        except EvidenceError:
            self.job_claims.report_once(claim, self.step)
            raise

    def failed(self, claim: JobClaim, otherwise: RetrainingError) -> RetrainingError:
        """Return why a job failed, and record it for the run's callback and the next try.

        Args:
            claim: the job's.
            otherwise: the platform's reason, for a job that recorded none.
        """
        from include.retraining.exceptions import StepFailed
        from include.retraining.runs.results import StepFailure

        failure = self.job_claims.failure(claim)
        if failure is None:
            failure = StepFailure(
                run_id=self.run_id,
                step=self.step,
                attempt=claim.attempt_id,
                kind=otherwise.kind,
                is_permanent=otherwise.is_permanent,
                # The reader of the failure adds the step's name.
                message=str(otherwise).removeprefix(f"{self.step}: "),
            )
            record_failure(self.store, self.paths, failure)
        if failure.is_permanent:
            self.job_claims.report_once(claim, self.step)
        return StepFailed(
            f"{failure.step}: {failure.message}",
            kind=failure.kind,
            is_permanent=failure.is_permanent,
        )


def open_step(context: Context, step: JobStep) -> RemoteStep:
    """Open the store and the newest plan of a task's run.

    Raises:
        CodeChanged: when this task's code is not its bundle's.
        RetrainingError: as `open_store` and `read_any_plan`.
    """
    from include.retraining.runs.manifest import current_plan
    from include.retraining.scoring.any_run import read_any_plan

    assert_own_bundle(context)
    store, run = open_store(), run_reference(context)
    paths = current_plan(store, run.paths)
    manifest = read_any_plan(store, paths)
    return RemoteStep(step, store, paths, manifest, run.run_id, run.clear)


def job_command(step: RemoteStep, claim: JobClaim) -> list[str]:
    """Return the arguments of the image's entry point: the same on every platform."""
    return [
        *claim.steps,
        *("--run", step.run_uri),
        *("--attempt", claim.attempt_id),
        *("--claim", str(claim.number)),
    ]
