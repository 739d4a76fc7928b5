"""The jobs of the stand-in for AWS Batch: their states, and their processes."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

ENDED = ("SUCCEEDED", "FAILED")
STOP_SECONDS = 1.0
"""Between SIGTERM and SIGKILL; Batch's own is 30."""
TIMED_OUT = "Job attempt duration exceeded timeout"
EXITED = "Essential container in task exited"


class End(NamedTuple):
    """How an attempt ends."""

    exit_code: int | None = None
    status_reason: str = EXITED
    reason: str | None = None
    """The container's own."""

    @property
    def is_success(self) -> bool:
        """Whether the job has succeeded."""
        return self.exit_code == 0


RUN = None
"""An attempt that runs its command."""
SUCCEED = End(0)
"""An attempt that says it did well, and did nothing."""
HOST_LOST = End(None, "Host EC2 (instance i-0123456789abcdef0) terminated.")


@dataclass
class Plan:
    """What happens to the jobs whose name matches."""

    name: str
    """A pattern, as of file names."""
    attempts: tuple[End | None, ...] = (RUN,)
    """How each attempt goes; the last one stands for all that follow."""
    hold: str | None = None
    """The state in which to wait: `RUNNABLE` or `STARTING`."""
    hidden_seconds: float = 0.0
    """How long after its submission ListJobs does not know a job."""

    def matches(self, name: str) -> bool:
        """Return whether a job is meant."""
        return fnmatch.fnmatchcase(name, self.name)


class Definition(NamedTuple):
    """A revision of a job definition."""

    name: str
    revision: int
    image: str
    status: str

    def detail(self, arn: str) -> dict[str, Any]:
        """Return what DescribeJobDefinitions says."""
        return {
            "jobDefinitionName": self.name,
            "jobDefinitionArn": f"{arn}:job-definition/{self.name}:{self.revision}",
            "revision": self.revision,
            "status": self.status,
            "type": "container",
            "containerProperties": {"image": self.image},
        }


@dataclass
class Job:
    """A submitted job."""

    arns: str
    request: dict[str, Any]
    definition: Definition
    plan: Plan
    changed: threading.Condition
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "SUBMITTED"
    status_reason: str | None = None
    created: float = field(default_factory=time.time)
    started: float | None = None
    stopped: float | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list)
    streams: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """The events of each attempt's log stream: milliseconds since 1970, and a line."""
    terminated: str | None = None
    """The reason of TerminateJob."""
    _process: subprocess.Popen[bytes] | None = None
    _forced: End | None = None
    """The end of the attempt that runs now, when it does not end by itself."""
    _thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.request["jobName"])

    @property
    def queue(self) -> str:
        """The name of its queue."""
        return str(self.request["jobQueue"]).rpartition("/")[2]

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"{self.arns}:job/{self.id}"

    @property
    def is_hidden(self) -> bool:
        """Whether ListJobs does not know it yet."""
        return time.time() - self.created < self.plan.hidden_seconds

    @property
    def lines(self) -> list[str]:
        """What all its attempts have said."""
        return [text for events in self.streams.values() for _, text in events]

    @property
    def pid(self) -> int | None:
        """The process of the attempt that runs now."""
        return None if self._process is None else self._process.pid

    def wait(self, *statuses: str, seconds: float = 60) -> None:
        """Wait until it is in one of these states (by default: until it has ended)."""
        with self.changed:
            wanted = statuses or ENDED
            if not self.changed.wait_for(lambda: self.status in wanted, timeout=seconds):
                raise TimeoutError(f"{self.name}: still {self.status} after {seconds} s")

    def start(
        self,
        prefix: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        seconds: float,
    ) -> None:
        """Let it go its way, in a thread."""
        overrides = self.request.get("containerOverrides", {})
        added = {pair["name"]: pair["value"] for pair in overrides.get("environment", [])}
        command = [*prefix, *overrides.get("command", [])]
        timeout = self.request.get("timeout", {}).get("attemptDurationSeconds")
        self._thread = threading.Thread(
            target=self._live,
            args=(command, folder, {**environment, **added}),
            kwargs={"timeout": None if timeout is None else timeout * seconds},
            daemon=True,
        )
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait until its thread has ended."""
        if self._thread is not None:
            self._thread.join(max(0.0, seconds))

    def terminate(self, reason: str) -> None:
        """Do what TerminateJob does; nothing to a job that has ended."""
        with self.changed:
            if self.status in ENDED:
                return
            self.terminated = reason
            self.changed.notify_all()
        self.end_running(End(137, reason))

    def end_running(self, end: End) -> None:
        """End the attempt that runs now, in a way that is not its own."""
        with self.changed:
            self._forced, process = end, self._process
        if process is None:  # it has not begun, and will see this when it does
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            os.killpg(process.pid, signal.SIGKILL)

    def summary(self) -> dict[str, Any]:
        """Return what ListJobs says."""
        last = self.attempts[-1]["container"] if self.attempts else {}
        return _present(
            jobArn=self.arn,
            jobId=self.id,
            jobName=self.name,
            createdAt=_milliseconds(self.created),
            startedAt=_milliseconds(self.started),
            stoppedAt=_milliseconds(self.stopped),
            status=self.status,
            statusReason=self.status_reason,
            container=_present(exitCode=last.get("exitCode"), reason=last.get("reason")),
            jobDefinition=self._definition_arn,
        )

    def detail(self) -> dict[str, Any]:
        """Return what DescribeJobs says."""
        overrides = self.request.get("containerOverrides", {})
        last = self.attempts[-1]["container"] if self.attempts else {}
        stream = list(self.streams)[-1] if self.streams else None
        return {
            **self.summary(),
            **_present(
                jobQueue=f"{self.arns}:job-queue/{self.queue}",
                attempts=self.attempts,
                retryStrategy=self.request.get("retryStrategy"),
                timeout=self.request.get("timeout"),
                tags=self.request.get("tags", {}),
                propagateTags=self.request.get("propagateTags", False),
                platformCapabilities=["EC2"],
                isCancelled=False,
                isTerminated=self.terminated is not None,
            ),
            "startedAt": _milliseconds(self.started) or 0,
            "container": _present(
                image=self.definition.image,
                command=overrides.get("command", []),
                environment=overrides.get("environment", []),
                resourceRequirements=overrides.get("resourceRequirements", []),
                logStreamName=stream,
                exitCode=last.get("exitCode"),
                reason=last.get("reason"),
            ),
        }

    @property
    def _definition_arn(self) -> str:
        return f"{self.arns}:job-definition/{self.definition.name}:{self.definition.revision}"

    def _live(
        self,
        command: list[str],
        folder: Path,
        environment: dict[str, str],
        *,
        timeout: float | None,
    ) -> None:
        strategy = self.request.get("retryStrategy", {})
        for number in range(1, strategy.get("attempts", 1) + 1):
            for state in ("RUNNABLE", "STARTING"):
                self._enter(state)
                self._wait_while_held(state)
            if self.terminated is not None:
                self._finish(End(None, self.terminated))
                return
            end = self._attempt(number, command, folder, environment, timeout)
            if self.terminated is not None:
                self._finish(End(end.exit_code, self.terminated))
                return
            is_last = number == strategy.get("attempts", 1)
            if end.is_success or is_last or not self._is_retried(end):
                self._finish(end)
                return

    def _wait_while_held(self, state: str) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self.plan.hold != state or self.terminated is not None)

    def _attempt(
        self,
        number: int,
        command: list[str],
        folder: Path,
        environment: dict[str, str],
        timeout: float | None,
    ) -> End:
        stream = f"{self.definition.name}/default/{uuid.uuid4().hex}"
        with self.changed:
            self.streams[stream] = []
            self._forced = None
        self._enter("RUNNING")
        started = time.time()
        planned = self.plan.attempts[min(number, len(self.plan.attempts)) - 1]
        if planned is RUN:
            environment = {
                **environment,
                "AWS_BATCH_JOB_ID": self.id,
                "AWS_BATCH_JOB_ATTEMPT": str(number),
                "AWS_BATCH_JQ_NAME": self.queue,
            }
            end = self._run(command, folder, environment, stream, timeout)
        else:
            end = planned
        container = _present(exitCode=end.exit_code, reason=end.reason, logStreamName=stream)
        with self.changed:
            self.attempts.append({
                "container": container,
                "startedAt": _milliseconds(started),
                "stoppedAt": _milliseconds(time.time()),
                "statusReason": end.status_reason,
            })
        return end

    def _run(
        self,
        command: list[str],
        folder: Path,
        environment: dict[str, str],
        stream: str,
        timeout: float | None,
    ) -> End:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        with self.changed:
            self._process, forced = process, self._forced
            if self.terminated is not None:
                forced = End(137, self.terminated)
        if forced is not None:  # it came before the process
            self.end_running(forced)
        timer = threading.Timer(timeout or 0, self.end_running, (End(137, TIMED_OUT),))
        if timeout is not None:
            timer.start()
        assert process.stdout is not None
        with process.stdout as output:
            for line in output:
                with self.changed:
                    text = line.decode(errors="replace").rstrip("\n")
                    self.streams[stream].append((_milliseconds(time.time()) or 0, text))
                    self.changed.notify_all()
        code = process.wait()
        timer.cancel()
        with self.changed:
            self._process, forced = None, self._forced
        return forced or End(128 - code if code < 0 else code)

    def _is_retried(self, end: End) -> bool:
        """Return what `evaluateOnExit` says; without a match a job is retried."""
        if end.status_reason == TIMED_OUT:
            return False
        values = {
            "onStatusReason": end.status_reason,
            "onReason": end.reason or "",
            "onExitCode": "" if end.exit_code is None else str(end.exit_code),
        }
        for rule in self.request.get("retryStrategy", {}).get("evaluateOnExit", []):
            conditions = [(values[name], rule[name]) for name in values if name in rule]
            if all(_globs(value, pattern) for value, pattern in conditions):
                return str(rule["action"]).upper() == "RETRY"
        return True

    def _enter(self, status: str) -> None:
        with self.changed:
            if self.status not in ENDED:
                self.status = status
            if status == "RUNNING":
                self.started = time.time()
            self.changed.notify_all()

    def _finish(self, end: End) -> None:
        with self.changed:
            self.status = "SUCCEEDED" if end.is_success and not self.terminated else "FAILED"
            self.status_reason = end.status_reason
            self.stopped = time.time()
            self.changed.notify_all()


def _globs(value: str, pattern: str) -> bool:
    """Match as Batch does: exactly, or by the start when the pattern ends with an asterisk."""
    if not re.fullmatch(r"[A-Za-z0-9.:\s]*\*?", pattern):
        raise ValueError(f"Batch refuses the pattern {pattern!r}")
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
