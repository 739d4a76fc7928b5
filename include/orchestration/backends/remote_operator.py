"""The operator of a step whose job runs on a platform: what all platforms have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from include.orchestration.backends.remote_step import RemoteStep, open_step
from include.orchestration.backends.training_elsewhere import WaitsForOtherTraining
from include.orchestration.runtime.errors import fail_permanent_errors
from include.retraining.config.compute import RemoteCompute, resolve
from include.retraining.exceptions import RetrainingError

if TYPE_CHECKING:
    from include.retraining.config.step_names import JobStep
    from include.retraining.runs.claims import JobClaim, JobState


class RemoteJobOperator(WaitsForOtherTraining):
    """Runs a step in a job of a claim, and waits for it without a worker slot.

    The job's name says which claim it belongs to, so a retry, a cleared task, a lost answer and a
    killed worker find the existing job. The platform's answer decides nothing: a step is done when
    its result is in the store and verifies, no matter which job wrote it.

    A backend starts, finds and explains jobs on its platform; `job` is one as the platform
    describes it. The name of the method at which a backend resumes a task is stored in Airflow's
    database while the task waits: it must not change.
    """

    compute: RemoteCompute

    def __init__(
        self,
        *,
        step: JobStep,
        together: Sequence[JobStep] | None = None,
        compute: RemoteCompute,
        **kwargs: Any,
    ) -> None:
        """Run one step.

        Args:
            step: `validate`, `train`, `evaluate`, `card` or `score`.
            together: the steps that a job started by this task runs, `step` first; only it when
                not given.
            compute: where the job runs and what it may use; the timeout is for all its steps.
            kwargs: of any operator.
        """
        super().__init__(**kwargs)
        self.step = step
        self.together = tuple(together or (step,))
        self.compute = compute
        self._is_killed = False

    @abstractmethod
    def wait_for_job(
        self, context: Context, step: RemoteStep, claim: JobClaim, *, is_new: bool
    ) -> None:
        """Start the job of a claim that is new, adopt the one that is there, and wait for it.

        Raises:
            TaskDeferred: when there is something to wait for.
            RetrainingError: when the step is not done.
        """

    @abstractmethod
    def find_job(self, step: RemoteStep, claim: JobClaim) -> Any | None:
        """Return the job of a claim, None when the platform does not know it."""

    @abstractmethod
    def state_of(self, job: Any) -> JobState:
        """Return a job as the platform describes it."""

    @abstractmethod
    def platform_reason(self, claim: JobClaim, job: Any) -> RetrainingError | None:
        """Return the platform's reason for a failed job; None when the job ended by itself."""

    @abstractmethod
    def last_words(self, claim: JobClaim, job: Any) -> tuple[int, str]:
        """Return the exit code of a job that ended by itself, and its last line."""

    def check_platform(self) -> None:
        """Refuse to go on without a way to the platform; not every backend has to ask.

        Raises:
            ConfigError: when something is missing that waiting does not bring.
        """

    def clean_up(self, step: RemoteStep) -> None:
        """Remove what the job of a step that is done left on the platform, if it left anything."""

    def begin(self, context: Context) -> None:
        """Start the job or adopt the one that is there, and wait for it."""
        with fail_permanent_errors(), self.waiting_for_other_training():
            self.start(context, open_step(context, self.step))

    def start(self, context: Context, step: RemoteStep) -> None:
        """Wait for the job of the newest claim, or of a new one.

        Raises:
            TaskDeferred: when there is something to wait for.
            RetrainingError: when the step is not done.
        """
        if step.is_done():
            self.log.info("%s: already done and verified", self.step)
            self.clean_up(step)
            return
        self.wait_for_other_training(step.store, step.manifest)
        self.check_platform()
        compute = resolve(self.compute, step.manifest.total_bytes)
        claim, is_new = step.job_claims.next_job(
            self.step,
            self.together,
            clear=step.clear,
            compute=compute.model_dump(mode="json"),
            job_state=lambda claim: self._state_of_claim(step, claim),
        )
        self.wait_for_job(context, step, claim, is_new=is_new)

    def failed(self, step: RemoteStep, claim: JobClaim, job: Any) -> RetrainingError:
        """Return why a job failed: according to the platform, else to the job itself."""
        from include.orchestration.backends.failure import failure_reason

        reason = self.platform_reason(claim, job)
        if reason is None:
            exit_code, last_line = self.last_words(claim, job)
            reason = failure_reason(
                step.store,
                step.paths,
                self.step,
                claim.attempt_id,
                exit_code=exit_code,
                last_line=last_line,
            )
        return step.failed(claim, reason)

    def _state_of_claim(self, step: RemoteStep, claim: JobClaim) -> JobState:
        """Return the platform's state of a claimed job.

        Raises:
            RetrainingError: for a job that failed permanently while no task waited for it.
        """
        from include.retraining.runs.claims import JobState

        job = self.find_job(step, claim)
        if job is None:
            return JobState.GONE
        state = self.state_of(job)
        if state is JobState.FAILED and step.job_claims.failure(claim) is None:
            reason = self.failed(step, claim, job)
            if reason.is_permanent:
                raise reason
        return state
