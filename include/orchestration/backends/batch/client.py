"""What we ask of AWS Batch, through an Airflow connection and the provider's hook.

It imports the Amazon provider and botocore at module level: it is imported when a task executes and
never by a DAG file.
"""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.batch_client import BatchClientHook
from airflow.providers.amazon.aws.hooks.logs import AwsLogsHook
from airflow.providers.amazon.aws.links.batch import BatchJobDetailsLink
from batch_triggers import ENDED, log_stream, log_url  # type: ignore[import-not-found]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from include.orchestration.backends.aws_service import POLL_SECONDS, AwsService, is_throttled
from include.orchestration.backends.batch.failure import HOST_LOST
from include.orchestration.backends.failure import SubmissionLost
from include.orchestration.backends.remote_step import RemoteStep, job_command
from include.orchestration.backends.thread_limits import thread_limits
from include.retraining.config.batch_compute import BatchCompute
from include.retraining.exceptions import ConfigError, InfrastructureError, RetrainingError

if TYPE_CHECKING:
    from include.retraining.runs.claims import JobClaim

log = logging.getLogger(__name__)

SETTLE_SECONDS = 60.0
"""How long to search for a job after the answer to its submission was lost."""


class BatchClient:
    """AWS Batch in the account and region of a connection.

    Raises in all its methods:
        ConfigError: when the connection may not do this, or names no region.
        InfrastructureError: when AWS does not answer.
    """

    def __init__(self, compute: BatchCompute) -> None:
        """Use the connection and the queue of a step's compute."""
        self.compute = compute
        self._aws = AwsService("AWS Batch", BatchClientHook(aws_conn_id=compute.connection))

    def check_definition(self) -> None:
        """Make sure that the pinned job definition runs the image that the model names (D11).

        Raises:
            ConfigError: when it does not exist, is not active, or runs another image.
        """
        name, image = self.compute.job_definition, self.compute.image
        answer = self._aws.ask("describe_job_definitions", jobDefinitions=[name])
        definition = next(iter(answer["jobDefinitions"]), None)
        if definition is None:
            raise ConfigError(f"AWS Batch has no job definition {name} {self._aws.where}")
        if definition.get("status") != "ACTIVE":
            raise ConfigError(
                f"the job definition {name} is {definition.get('status')}: name an active revision"
            )
        runs = definition.get("containerProperties", {}).get("image")
        if runs != image:
            raise ConfigError(
                f"the job definition {name} runs the image {runs}, the model names {image}: "
                "register a revision with that image and name it, or name that image"
            )

    def submit(self, step: RemoteStep, claim: JobClaim) -> str:
        """Submit a claimed job and return its id.

        SubmitJob has no idempotency token: it is sent once. When the answer is lost, whether a job
        came of it is read from Batch's list.

        Raises:
            ConfigError: when Batch refuses the job.
            SubmissionLost: when that cannot be determined.
        """
        request = job_request(step, claim, self.compute)
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                return str(self._aws.client.submit_job(**request)["jobId"])
            except (BotoCoreError, ClientError) as error:
                core_error = self._aws.core_error(error)
                if core_error.is_permanent:
                    raise core_error from error
                if not is_throttled(error):
                    return self._confirm_submission(claim, core_error, deadline)
                if time.monotonic() > deadline:
                    raise core_error from error
                time.sleep(POLL_SECONDS)  # refused before it was accepted: there is no job

    def find(self, name: str) -> dict[str, Any] | None:
        """Return the DescribeJobs entry of the job with that name; None when none is listed."""
        answer = self._aws.ask(
            "list_jobs",
            jobQueue=self.compute.queue,
            filters=[{"name": "JOB_NAME", "values": [name]}],
        )
        # The filter ignores case.
        jobs = [job for job in answer["jobSummaryList"] if job["jobName"] == name]
        if not jobs:
            return None
        return self.describe(max(jobs, key=lambda job: job["createdAt"])["jobId"])

    def describe(self, job_id: str) -> dict[str, Any] | None:
        """Return the DescribeJobs entry of a job; None when Batch does not know it (any more)."""
        jobs = self._aws.ask("describe_jobs", jobs=[job_id])["jobs"]
        return jobs[0] if jobs else None

    def terminate(self, job_id: str, reason: str) -> None:
        """End a job in any state."""
        self._aws.ask("terminate_job", jobId=job_id, reason=reason)

    def stop(self, name: str, reason: str, *, started: str | None) -> bool:
        """End the job with that name if it has not ended; return whether it had not.

        Args:
            name: of the job.
            reason: why, as Batch shows it.
            started: the id that a job put down when it started, for one that is not listed.
        """
        job = self.find(name)
        if job is None and started is not None:
            job = self.describe(started)
        if job is None or job["status"] in ENDED:
            return False
        self.terminate(job["jobId"], reason)
        return True

    def last_line(self, job: dict[str, Any]) -> str:
        """Return the last line of a job's log; empty when there is none or it cannot be read."""
        stream = log_stream(job)
        if stream is None:
            return ""
        try:
            client = AwsLogsHook(aws_conn_id=self.compute.connection).conn
            page = client.get_log_events(
                logGroupName=stream[0], logStreamName=stream[1], limit=1, startFromHead=False
            )
        except (BotoCoreError, ClientError) as error:
            log.warning("cannot read the job's log: %s", error)
            return ""
        return str(page["events"][-1]["message"]) if page["events"] else ""

    def links(self, job: dict[str, Any]) -> tuple[str, str | None]:
        """Return the pages of a job and of its log in AWS's console."""
        region, partition = self._aws.client.meta.region_name, self._aws.client.meta.partition
        page = BatchJobDetailsLink()
        return (
            page.format_link(
                aws_domain=page.get_aws_domain(partition), region_name=region, job_id=job["jobId"]
            ),
            log_url(job, region=region, partition=partition),
        )

    def _confirm_submission(self, claim: JobClaim, lost: RetrainingError, deadline: float) -> str:
        """Return the id of the job whose submission was not answered."""
        log.warning("no answer to SubmitJob: searching for %s: %s", claim.name, lost)
        while True:
            try:
                job = self.find(claim.name)
            except InfrastructureError as error:
                log.warning("%s", error)
                job = None
            if job is not None:
                return str(job["jobId"])
            if time.monotonic() > deadline:
                raise SubmissionLost(
                    f"AWS Batch did not answer when {claim.name} was submitted, and lists no such "
                    f"job: {lost}"
                )
            time.sleep(POLL_SECONDS)


def job_request(step: RemoteStep, claim: JobClaim, compute: BatchCompute) -> dict[str, Any]:
    """Return what SubmitJob is asked for. No secret is in it: a role opens the store (D13)."""
    resources = {"VCPU": f"{compute.cpu:g}", "MEMORY": str(compute.memory_mib)}
    if compute.gpu:
        resources["GPU"] = str(compute.gpu)
    return {
        "jobName": claim.name,
        "jobQueue": compute.queue,
        "jobDefinition": compute.job_definition,
        "containerOverrides": {
            "command": job_command(step, claim),
            "resourceRequirements": [
                {"type": kind, "value": value} for kind, value in resources.items()
            ],
            "environment": [
                {"name": name, "value": value} for name, value in thread_limits(compute).items()
            ],
        },
        "timeout": {"attemptDurationSeconds": math.ceil(compute.timeout_seconds)},
        "retryStrategy": {
            "attempts": 1 + compute.spot_retries,
            # Without a rule that matches, Batch would retry.
            "evaluateOnExit": [
                {"onStatusReason": f"{HOST_LOST[compute.platform]}*", "action": "RETRY"},
                {"onReason": "*", "action": "EXIT"},
            ],
        },
        "tags": {
            **compute.tags,
            "retraining-model": step.paths.model,
            "retraining-run": step.paths.run,
            "retraining-fingerprint": step.manifest.fingerprint,
            "retraining-step": "+".join(claim.steps),
            "retraining-attempt": claim.attempt_id,
        },
        "propagateTags": True,
    }
