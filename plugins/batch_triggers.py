"""A trigger that waits for a job on AWS Batch and shows its log meanwhile.

It only notices: the operator in the worker reads the job again and judges.

Light at import: Airflow loads every plugin in each of its processes, tasks included.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from log_streams import LogStream, LogStreams
from trigger_support import AwsClients, first_line, object_is_there, refusal

ENDED = ("SUCCEEDED", "FAILED")
WAITING = ("SUBMITTED", "PENDING", "RUNNABLE")
"""The states in which a job has no machine yet."""
KILL_REASON = "the task was marked failed or cleared in Airflow"
LOG_GROUP = "/aws/batch/job"
STATE_SECONDS = 10.0
"""How long to ask Airflow for a task's state. The first question that a triggerer asks of it takes
many seconds on a busy machine, and Airflow gives `on_kill` 30 in all."""


def waiting_since(job: dict[str, Any]) -> float | None:
    """Return since when a job waits for a machine (Unix time), None when it has one.

    Args:
        job: its DescribeJobs entry. Every attempt waits again.
    """
    if job["status"] not in WAITING:
        return None
    attempts = job.get("attempts") or [{}]
    return float(attempts[-1].get("stoppedAt") or job["createdAt"]) / 1000


def log_stream(job: dict[str, Any]) -> tuple[str, str] | None:
    """Return group and stream of the log of a job's newest attempt; None while there is none."""
    streams = log_streams(job)
    return streams[-1] if streams else None


def log_streams(job: dict[str, Any]) -> list[tuple[str, str]]:
    """Return group and stream of the log of each of a job's attempts, oldest first."""
    now = job.get("container", {})
    options = now.get("logConfiguration", {}).get("options", {})
    group = options.get("awslogs-group", LOG_GROUP)
    containers = [*(attempt.get("container", {}) for attempt in job.get("attempts") or []), now]
    names = [one["logStreamName"] for one in containers if one.get("logStreamName")]
    return [(group, name) for name in dict.fromkeys(names)]


def log_url(job: dict[str, Any], *, region: str, partition: str) -> str | None:
    """Return the page in AWS's console of the log of a job's newest attempt."""
    from airflow.providers.amazon.aws.links.logs import CloudWatchEventsLink

    stream = log_stream(job)
    if stream is None:
        return None
    link = CloudWatchEventsLink()
    return link.format_link(
        aws_domain=link.get_aws_domain(partition),
        region_name=region,
        awslogs_region=region,
        awslogs_group=stream[0],
        awslogs_stream_name=stream[1],
    )


class BatchJobTrigger(BaseTrigger):
    """Fires when a job has ended, when its step's result is there, or when it gets no machine.

    Its event says why: `{"status": "ended" | "result" | "no_capacity" | "gone"}`, or
    `{"status": "refused", "reason": sentence}`.
    """

    last_lines_seconds = 5.0
    """How long after a failure to read the log once more: the log driver of a host sends every
    five seconds, and the last lines say why."""

    def __init__(
        self,
        *,
        job_id: str,
        connection: str,
        poll_seconds: float,
        runnable_seconds: float,
        result: str | None,
    ) -> None:
        """Describe what to wait for.

        Args:
            job_id: Batch's id of the job.
            connection: the Airflow connection that may read it and end it.
            poll_seconds: seconds between two checks.
            runnable_seconds: how long the job may wait for a machine.
            result: address of the object whose appearance ends the wait while the job runs on;
                None, or an address that is neither file:// nor s3://: only the job's end does.
        """
        super().__init__()
        self.job_id = job_id
        self.connection = connection
        self.poll_seconds = poll_seconds
        self.runnable_seconds = runnable_seconds
        self.result = result
        self._said = ""
        self._warned: set[str] = set()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what another triggerer needs to go on.

        How far the log was shown is not part of it: Airflow stores this once, when the task
        defers. After a restart of the triggerer the log is shown from its beginning again.
        """
        fields = {
            "job_id": self.job_id,
            "connection": self.connection,
            "poll_seconds": self.poll_seconds,
            "runnable_seconds": self.runnable_seconds,
            "result": self.result,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", fields

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll; an outage of AWS must not end the wait."""
        payload: dict[str, str] | None = None
        log = _JobLog(self)
        while payload is None:
            try:
                async with AwsClients(self.connection) as clients:
                    payload = await self._watch(clients, log)
            except Exception as error:  # noqa: BLE001 the job runs on after any error
                if (reason := refusal(error)) is not None:
                    payload = {"status": "refused", "reason": reason}
                else:
                    self._log_line(f"cannot read the job now, trying again: {first_line(error)}")
                    await asyncio.sleep(self.poll_seconds)
        yield TriggerEvent(payload)

    async def on_kill(self) -> None:
        """End the job: someone marked the deferred task failed or successful, or cleared it.

        Airflow 3.3.2 calls this whenever a trigger that runs here is no longer assigned to this
        triggerer (`TriggerRunnerSupervisor.update_triggers`). That is also so when another
        triggerer took it over because this one's heartbeat was late; then the task still waits.
        """
        if await self._is_still_deferred():
            self.log.info("another triggerer waits for job %s now", self.job_id)
            return
        async with AwsClients(self.connection) as clients:
            batch = await clients.batch()
            await batch.terminate_job(jobId=self.job_id, reason=KILL_REASON)
        self.log.info("job %s was ended: %s", self.job_id, KILL_REASON)

    async def _watch(self, clients: AwsClients, log: _JobLog) -> dict[str, str]:
        """Poll until there is something to report."""
        batch = await clients.batch()
        while True:
            jobs = (await batch.describe_jobs(jobs=[self.job_id]))["jobs"]
            if not jobs:
                return {"status": "gone"}
            job = jobs[0]
            self._log_line(_state(job))
            await log.follow(job, clients)
            if job["status"] in ENDED:
                if job["status"] == "FAILED" and log_stream(job) is not None:
                    await asyncio.sleep(self.last_lines_seconds)
                    await log.follow(job, clients)
                return {"status": "ended"}
            since = waiting_since(job)
            if since is not None and time.time() - since > self.runnable_seconds:
                return {"status": "no_capacity"}
            if since is None and await self._result_is_there(clients):
                return {"status": "result"}
            await asyncio.sleep(self.poll_seconds)

    async def _result_is_there(self, clients: AwsClients) -> bool:
        try:
            return await object_is_there(self.result or "", clients)
        except Exception as error:  # noqa: BLE001 the job's end is noticed all the same
            self.warn_once(f"cannot check for {self.result}: {first_line(error)}")
            return False

    async def _is_still_deferred(self) -> bool:
        """Return whether the task still waits; False where that is unknown."""
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
        from asgiref.sync import sync_to_async

        ti: Any = self.task_instance
        if ti is None:
            return False
        # Its own thread, and not asyncio.wait_for: asgiref's calls share one thread, and end
        # no sooner than it does, cancelled or not.
        ask = sync_to_async(RuntimeTaskInstance.get_task_states, thread_sensitive=False)
        asking = asyncio.create_task(
            ask(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id])
        )
        await asyncio.wait([asking], timeout=STATE_SECONDS)
        if not asking.done():
            asking.cancel()
            self.log.warning("no answer on the task's state in %s s", STATE_SECONDS)
            return False
        try:
            states: dict[str, dict[str, Any]] = asking.result()
        except Exception as error:  # noqa: BLE001 a user's action is by far the likelier reason
            self.log.warning("cannot ask for the task's state: %s", first_line(error))
            return False
        return states.get(ti.run_id, {}).get(ti.task_id) == "deferred"

    def _log_line(self, text: str) -> None:
        """Log a sentence when it is news."""
        if text != self._said:
            self.log.info("%s", text)
            self._said = text

    def warn_once(self, text: str) -> None:
        """Log a warning once."""
        if text not in self._warned:
            self.log.warning("%s", text)
            self._warned.add(text)


class _JobLog:
    """Shows the lines of a job's log, attempt by attempt."""

    def __init__(self, trigger: BatchJobTrigger) -> None:
        self._trigger = trigger
        self._streams = LogStreams(trigger)
        self._newest: tuple[str, str] | None = None

    async def follow(self, job: dict[str, Any], clients: AwsClients) -> None:
        """Show what is new; ``job`` is its DescribeJobs entry."""
        streams = log_streams(job)
        if self._newest in streams:  # those before it were shown to their end
            streams = streams[streams.index(self._newest) :]
        for group, name in streams:
            await self._streams.show(LogStream(group, name), clients)
        if streams and streams[-1] != self._newest:
            self._newest = streams[-1]
            meta = (await clients.batch()).meta
            url = log_url(job, region=meta.region_name, partition=meta.partition)
            self._trigger.log.info("log of the job: %s", url)


def _state(job: dict[str, Any]) -> str:
    reason = f": {job['statusReason']}" if job.get("statusReason") else ""
    return f"job {job['jobName']} ({job['jobId']}) is {job['status']}{reason}"
