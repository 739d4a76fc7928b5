"""Run one heavy step, or several, as an asynchronous invocation of a function on AWS Lambda."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
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
from include.retraining.config.lambda_compute import LambdaCompute
from include.retraining.exceptions import ConfigError, JobKilled, RetrainingError

if TYPE_CHECKING:
    from include.orchestration.backends.aws_lambda.failure import LambdaJob
    from include.retraining.runs.claims import JobClaim, JobState

LOST_SECONDS = 60.0
"""How long to wait for the start of a job whose invocation was not answered."""
POLL_SECONDS = 1.0
LOG_LINK = "lambda_log_url"


class LogLink(ConsoleLink):
    """The job's log on CloudWatch: the lines of its request, then its stream."""

    name = "Log on CloudWatch"
    xcom_key = LOG_LINK


class LambdaJobOperator(AwsJobOperator):
    """Runs a step in an invocation of a function on AWS Lambda.

    Lambda does not say what became of an asynchronous invocation, and cannot end it. So the job
    puts down in the store that it started, by when it has ended at the latest, and how it ended;
    it ends when the store asks it to.
    """

    compute: LambdaCompute
    operator_extra_links = (LogLink(),)

    def __init__(self, **kwargs: Any) -> None:
        """Run one step; the arguments are those of `RemoteJobOperator`."""
        super().__init__(**kwargs)
        self._job: tuple[RemoteStep, JobClaim] | None = None

    def look_again(self, context: Context, claim: int, event: dict[str, Any] | None = None) -> None:
        """Check the store after the trigger noticed something; its event is not trusted."""
        status = (event or {}).get("status")
        with fail_permanent_errors(), self.waiting_for_other_training():
            step = open_step(context, self.step)
            job_claim = next(one for one in step.job_claims.claims() if one.number == claim)
            if status == "refused" and not step.is_done():
                # To wait again would be refused again.
                raise ConfigError(
                    f"the triggerer may not read the store {step.store.uri}: "
                    f"{(event or {}).get('reason')}"
                )
            # A result that is there and does not verify is replaced by the job, or is not.
            self._follow(context, step, job_claim, watches_result=status != "result")

    def end_unwatched(self, step: RemoteStep, claim: JobClaim, reason: str) -> None:
        """Forbid the job to start, or ask it to end."""
        _end(step, claim, reason)

    def on_kill(self) -> None:
        """Ask the job to end; a task that waits in the triggerer has no process to be killed."""
        self._is_killed = True
        if self._job is not None:
            _end(*self._job, STOP_REASON)

    def wait_for_job(
        self, context: Context, step: RemoteStep, claim: JobClaim, *, is_new: bool
    ) -> None:
        """Invoke the function or adopt the job that is there, and wait for it."""
        self._job = (step, claim)
        if is_new:
            self._invoke(context, step, claim)
        self.log.info("%s the job %s", "invoked" if is_new else "adopting", claim.name)
        self._follow(context, step, claim)

    def find_job(self, step: RemoteStep, claim: JobClaim) -> LambdaJob | None:
        """Return the job of a claim as the store shows it, None when it has not started."""
        from lambda_triggers import GRACE_SECONDS  # type: ignore[import-not-found]

        from include.orchestration.backends.aws_lambda.failure import LambdaJob
        from include.retraining.runs.job_end import JobEnds

        start = step.job_claims.started(claim)
        if start is None or start.job is None:
            return None
        ends = JobEnds(step.store, step.paths)
        overdue = datetime.now(UTC) - timedelta(seconds=GRACE_SECONDS)
        return LambdaJob(
            start=start,
            end=ends.find(claim.number),
            stop=ends.requested_stop(claim.number),
            is_overdue=start.ends_by is not None and start.ends_by < overdue,
        )

    def state_of(self, job: LambdaJob) -> JobState:
        """Return the state of a job by how it ended, or must have."""
        from include.retraining.runs.claims import JobState

        if job.end is not None:
            is_well = job.end.how == "exited" and job.end.exit_code == 0
            return JobState.SUCCEEDED if is_well else JobState.FAILED
        return JobState.FAILED if job.is_overdue else JobState.ACTIVE

    def platform_reason(self, claim: JobClaim, job: LambdaJob) -> RetrainingError | None:
        """Return why a job did not end by itself; None when it did."""
        from include.orchestration.backends.aws_lambda.failure import why_failed

        return why_failed(job, LambdaCompute.model_validate(claim.compute))

    def last_words(self, claim: JobClaim, job: LambdaJob) -> tuple[int, str]:  # noqa: ARG002 the end has both
        """Return the exit code of a job's process, and its last line where that says why."""
        assert job.end is not None  # noqa: S101 `why_failed` answers for any other
        return job.end.exit_code, job.end.last_line

    def _invoke(self, context: Context, step: RemoteStep, claim: JobClaim) -> None:
        """Invoke the function for a new claim, once.

        Raises:
            RetrainingError: when Lambda refuses it, or its fate is unknown. The claim is void then.
        """
        from include.orchestration.backends.aws_lambda.client import LambdaClient
        from include.orchestration.backends.failure import SubmissionLost

        client = LambdaClient(LambdaCompute.model_validate(claim.compute))
        try:
            _require_a_store_that_can_be_watched(step)
            group = client.check_function()
            request_id = client.invoke(step, claim)
        except SubmissionLost as error:
            if not self._has_started(step, claim):
                raise step.failed(claim, error) from error
        except RetrainingError as error:
            raise step.failed(claim, error) from error
        else:
            self._link(context, client.log_page(group, request_id=request_id))

    def _has_started(self, step: RemoteStep, claim: JobClaim) -> bool:
        """Return whether a job started whose invocation was not answered; else it may not."""
        deadline = time.monotonic() + LOST_SECONDS
        while time.monotonic() < deadline:
            if step.job_claims.started(claim) is not None:
                return True
            time.sleep(POLL_SECONDS)
        return step.job_claims.void(claim) is not None

    def _follow(
        self, context: Context, step: RemoteStep, claim: JobClaim, *, watches_result: bool = True
    ) -> None:
        """Judge a job that has ended, and wait for one that has not.

        Raises:
            TaskDeferred: when there is something to wait for.
            RetrainingError: when the step is not done.
        """
        from include.retraining.runs.claims import JobState

        self._job = (step, claim)
        if self._is_killed:
            _end(step, claim, STOP_REASON)
            raise step.failed(claim, JobKilled(STOP_REASON))
        compute = LambdaCompute.model_validate(claim.compute)
        job = self._job_that_may_run(step, claim, compute)
        state = JobState.ACTIVE if job is None else self.state_of(job)
        if step.is_done():
            self.log.info("%s: done and verified", self.step)
        elif job is None or state is JobState.ACTIVE:
            self._wait(step, claim, compute, watches_result=watches_result)
        elif state is JobState.SUCCEEDED:
            step.check_evidence(claim)
        else:
            self._link_to_stream(context, compute, job)
            self._go_on_after_failure(context, step, claim, job)

    def _job_that_may_run(
        self, step: RemoteStep, claim: JobClaim, compute: LambdaCompute
    ) -> LambdaJob | None:
        """Return the job of a claim, None while it may still start.

        Raises:
            RetrainingError: when it has not started in time. It may not start any more then.
        """
        from include.orchestration.backends.aws_lambda.failure import not_started

        job = self.find_job(step, claim)
        if job is not None or time.time() < _start_by(claim, compute):
            return job
        if step.job_claims.void(claim) is None:
            raise step.failed(claim, not_started(compute))
        return self.find_job(step, claim)  # it was faster

    def _go_on_after_failure(
        self, context: Context, step: RemoteStep, claim: JobClaim, job: LambdaJob
    ) -> None:
        """Start the next job where the failed one was ended for a task that is no more.

        Raises:
            TaskDeferred: when there is something to wait for.
            RetrainingError: when the step is not done.
        """
        reason = None if job.stop is None else job.stop.reason
        if job.end is not None and job.end.how == "stopped" and reason in {STOP_REASON, RUN_ENDED}:
            # Of the try before this one: the task was cleared while its job was adopted.
            self.log.info("the job was ended for the task that was cleared: the next begins")
            self.start(context, step)
        else:
            raise self.failed(step, claim, job)

    def _wait(
        self, step: RemoteStep, claim: JobClaim, compute: LambdaCompute, *, watches_result: bool
    ) -> None:
        from lambda_triggers import LambdaJobTrigger

        store_uri, paths = step.store.uri, step.paths
        self.defer(
            trigger=LambdaJobTrigger(
                started=f"{store_uri}/{paths.job_started(claim.number)}",
                ended=f"{store_uri}/{paths.job_ended(claim.number)}",
                result=step.result_uri if watches_result else None,
                start_by=_start_by(claim, compute),
                connection=compute.connection,
                poll_seconds=compute.poll_seconds,
            ),
            method_name="look_again",
            kwargs={"claim": claim.number},
            timeout=timedelta(seconds=compute.max_seconds + NET_SECONDS),
        )

    def _link_to_stream(self, context: Context, compute: LambdaCompute, job: LambdaJob) -> None:
        from include.orchestration.backends.aws_lambda.client import LambdaClient

        if job.start.log is not None:
            group, stream = job.start.log.split(":", 1)
            self._link(context, LambdaClient(compute).stream_page(group, stream))

    def _link(self, context: Context, page: str) -> None:
        """Put down where the job's log is, for the UI and in the task's log."""
        self.log.info("its log: %s", page)
        context["ti"].xcom_push(key=LOG_LINK, value=page)


def _start_by(claim: JobClaim, compute: LambdaCompute) -> float:
    """Return by when a job must have started, as Unix time."""
    return claim.claimed_at.timestamp() + compute.startup_timeout_seconds


def _end(step: RemoteStep, claim: JobClaim, reason: str) -> None:
    """Forbid a job to start, or ask it to end."""
    from include.retraining.runs.job_end import JobEnds

    if step.job_claims.void(claim) is not None:
        JobEnds(step.store, step.paths).request_stop(claim.number, reason)


def _require_a_store_that_can_be_watched(step: RemoteStep) -> None:
    """Refuse a store that the triggerer cannot look into: nothing else says what a job does.

    Raises:
        ConfigError: for any but a folder and S3.
    """
    if not step.store.uri.startswith(("s3://", "file://")):
        raise ConfigError(
            f"compute.STEP.backend: lambda needs a store on S3: the triggerer cannot watch "
            f"{step.store.uri}"
        )
