"""Run one heavy step, or several, as a job on AWS Batch."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from include.orchestration.backends.aws_operator import (
    NET_SECONDS,
    STOP_REASON,
    AwsJobOperator,
    ConsoleLink,
)
from include.orchestration.backends.remote_step import RUN_ENDED, RemoteStep, open_step
from include.orchestration.runtime.errors import fail_permanent_errors
from include.retraining.config.batch_compute import BatchCompute
from include.retraining.exceptions import ConfigError, JobKilled, RetrainingError

if TYPE_CHECKING:
    from include.orchestration.backends.batch.client import BatchClient
    from include.retraining.runs.claims import JobClaim, JobState

JOB_LINK = "batch_job_url"
LOG_LINK = "batch_log_url"


class JobLink(ConsoleLink):
    """The job's page in AWS's console."""

    name = "Job in AWS Batch"
    xcom_key = JOB_LINK


class LogLink(ConsoleLink):
    """The job's log on CloudWatch, known to the worker once the job has run.

    Until then the job's page has it, and so has the task's log: the trigger shows it there.
    """

    name = "Log on CloudWatch"
    xcom_key = LOG_LINK


class BatchJobOperator(AwsJobOperator):
    """Runs a step in a job on AWS Batch."""

    compute: BatchCompute
    operator_extra_links = (JobLink(), LogLink())

    def __init__(self, **kwargs: Any) -> None:
        """Run one step; the arguments are those of `RemoteJobOperator`."""
        super().__init__(**kwargs)
        self._clients: dict[str, BatchClient] = {}
        self._job: tuple[BatchCompute, str] | None = None

    def look_again(
        self, context: Context, claim: int, job_id: str, event: dict[str, Any] | None = None
    ) -> None:
        """Check the job after the trigger noticed something; the trigger's event is not trusted."""
        from batch_triggers import ENDED  # type: ignore[import-not-found]

        status = (event or {}).get("status")
        with fail_permanent_errors(), self.waiting_for_other_training():
            step = open_step(context, self.step)
            job_claim = next(one for one in step.job_claims.claims() if one.number == claim)
            if status == "result" and step.is_done():
                self.log.info(
                    "%s: done and verified; the job continues with the next step", job_claim.name
                )
                return
            job = self._client_of(job_claim).describe(job_id)
            if status == "refused" and job is not None and job["status"] not in ENDED:
                # To wait again would be refused again.
                raise ConfigError(
                    f"the triggerer may not read jobs on AWS Batch (connection "
                    f"{job_claim.compute['connection']}): {(event or {}).get('reason')}"
                )
            # A result that is there and does not verify is replaced by the job, or is not.
            self._follow(context, step, job_claim, job, watches_result=status != "result")

    def end_unwatched(self, step: RemoteStep, claim: JobClaim, reason: str) -> None:  # noqa: ARG002 Batch knows the job
        """Terminate the job that Batch lists for a claim."""
        client = self._client_of(claim)
        job = client.find(claim.name)
        if job is not None:
            client.terminate(job["jobId"], reason)

    def on_kill(self) -> None:
        """End the job; a task that waits in the triggerer has no process to be killed here."""
        self._is_killed = True
        if self._job is not None:
            from include.orchestration.backends.batch.client import BatchClient

            compute, job_id = self._job
            # Its own client: this is a signal's handler, and interrupts a use of the other.
            BatchClient(compute).terminate(job_id, STOP_REASON)

    def wait_for_job(
        self, context: Context, step: RemoteStep, claim: JobClaim, *, is_new: bool
    ) -> None:
        """Submit the job or adopt the one that is there, and wait for it."""
        job_id = self._submit(step, claim) if is_new else None
        self.log.info("%s the job %s", "submitted" if is_new else "adopting", claim.name)
        client = self._client_of(claim)
        job = self.find_job(step, claim) if job_id is None else client.describe(job_id)
        self._follow(context, step, claim, job)

    def find_job(self, step: RemoteStep, claim: JobClaim) -> dict[str, Any] | None:
        """Return the DescribeJobs entry of a claimed job, by its name or the id that it recorded.

        A list may lag behind; a job that has started has recorded its id.
        """
        client = self._client_of(claim)
        job = client.find(claim.name)
        started = None if job is not None else step.job_claims.started(claim)
        if started is not None and started.job is not None:
            return client.describe(started.job)
        return job

    def state_of(self, job: dict[str, Any]) -> JobState:
        """Return the DescribeJobs entry of a job."""
        from include.retraining.runs.claims import JobState

        ended = {"SUCCEEDED": JobState.SUCCEEDED, "FAILED": JobState.FAILED}
        return ended.get(job["status"], JobState.ACTIVE)

    def platform_reason(self, claim: JobClaim, job: dict[str, Any]) -> RetrainingError | None:
        """Return Batch's reason for a failed job; None when its container ended by itself."""
        from include.orchestration.backends.batch.failure import why_failed

        return why_failed(job, self._client_of(claim).compute)

    def last_words(self, claim: JobClaim, job: dict[str, Any]) -> tuple[int, str]:
        """Return the exit code of a job's last attempt, and the last line of its log."""
        exit_code = job["attempts"][-1]["container"]["exitCode"]
        return exit_code, self._client_of(claim).last_line(job)

    def _submit(self, step: RemoteStep, claim: JobClaim) -> str:
        """Submit a new claim's job and return its id.

        Raises:
            RetrainingError: when Batch refuses it, or its fate is unknown. The claim is void then.
        """
        from include.orchestration.backends.failure import SubmissionLost

        client = self._client_of(claim)
        try:
            client.check_definition()
            return client.submit(step, claim)
        except SubmissionLost as error:
            # Either the job puts down that it started, or we that it may not.
            started = step.job_claims.void(claim)
            if started is not None and started.job is not None:
                return started.job
            raise step.failed(claim, error) from error
        except RetrainingError as error:
            raise step.failed(claim, error) from error

    def _follow(
        self,
        context: Context,
        step: RemoteStep,
        claim: JobClaim,
        job: dict[str, Any] | None,
        *,
        watches_result: bool = True,
    ) -> None:
        """Judge a job that has ended, and wait for one that has not.

        Raises:
            TaskDeferred: when there is something to wait for.
            RetrainingError: when the step is not done.
        """
        if job is None:
            if step.is_done():
                return
            raise step.failed(claim, JobKilled(f"AWS Batch does not know {claim.name} any more"))
        client = self._client_of(claim)
        self._job = (client.compute, job["jobId"])
        self._link(context, client, job)
        if job["status"] == "SUCCEEDED":
            step.check_evidence(claim)
        elif job["status"] == "FAILED":
            self._go_on_after_failure(context, step, claim, job)
        else:
            self._end_without_hope(step, claim, job)
            self._wait(step, claim, job["jobId"], client.compute, watches_result=watches_result)

    def _go_on_after_failure(
        self, context: Context, step: RemoteStep, claim: JobClaim, job: dict[str, Any]
    ) -> None:
        """Start the next job where the failed one was ended for a task that is no more.

        Raises:
            TaskDeferred: when there is something to wait for.
            RetrainingError: when the step is not done.
        """
        from batch_triggers import KILL_REASON

        if step.is_done():
            self.log.info("%s: done and verified, though the job failed later", self.step)
        elif job.get("statusReason") in {KILL_REASON, STOP_REASON, RUN_ENDED}:
            # Of the try before this one: the task was cleared while its job was adopted.
            self.log.info("the job was ended for the task that was cleared: the next begins")
            self.start(context, step)
        else:
            raise self.failed(step, claim, job)

    def _end_without_hope(self, step: RemoteStep, claim: JobClaim, job: dict[str, Any]) -> None:
        """End a job whose task was killed, and one that got no machine in time.

        Raises:
            RetrainingError: when it was ended.
        """
        from batch_triggers import waiting_since

        from include.orchestration.backends.batch.failure import no_capacity

        client = self._client_of(claim)
        if self._is_killed:
            client.terminate(job["jobId"], STOP_REASON)
            raise step.failed(claim, JobKilled(STOP_REASON))
        since = waiting_since(job)
        waited = 0.0 if since is None else time.time() - since
        if waited > client.compute.runnable_timeout_seconds:
            error = no_capacity(job, client.compute, seconds=waited)
            client.terminate(job["jobId"], str(error))
            raise step.failed(claim, error)

    def _wait(
        self,
        step: RemoteStep,
        claim: JobClaim,
        job_id: str,
        compute: BatchCompute,
        *,
        watches_result: bool,
    ) -> None:
        from batch_triggers import BatchJobTrigger

        # The last step's result comes with the end of the job.
        is_last = claim.steps[-1] == self.step
        self.defer(
            trigger=BatchJobTrigger(
                job_id=job_id,
                connection=compute.connection,
                poll_seconds=compute.poll_seconds,
                runnable_seconds=compute.runnable_timeout_seconds,
                result=None if is_last or not watches_result else step.result_uri,
            ),
            method_name="look_again",
            kwargs={"claim": claim.number, "job_id": job_id},
            timeout=timedelta(seconds=compute.max_seconds + NET_SECONDS),
        )

    def _client_of(self, claim: JobClaim) -> BatchClient:
        """Return the Batch that a claim was made for: the model may name another one by now."""
        from include.orchestration.backends.batch.client import BatchClient

        if claim.name not in self._clients:
            self._clients[claim.name] = BatchClient(BatchCompute.model_validate(claim.compute))
        return self._clients[claim.name]

    def _link(self, context: Context, client: BatchClient, job: dict[str, Any]) -> None:
        """Put down where the job and its log are, for the UI and in the task's log."""
        page, log = client.links(job)
        self.log.info("job %s: %s", job["jobId"], page)
        context["ti"].xcom_push(key=JOB_LINK, value=page)
        if log is not None:
            self.log.info("its log: %s", log)
            context["ti"].xcom_push(key=LOG_LINK, value=log)
