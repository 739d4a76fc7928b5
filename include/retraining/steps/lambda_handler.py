"""The handler of a function on AWS Lambda: one invocation runs the steps of one claim.

It claims first, so that an event that Lambda delivers twice is worked on once. The steps run in a
child process, as on every backend, with an environment of its own; this process ends the child when
its time is up or somebody wants it to end, and records how it ended, because nothing else knows.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Literal

from include.retraining.config.step_names import JobStep
from include.retraining.documents import Document
from include.retraining.exceptions import EvidenceError, StorageError
from include.retraining.runs.claims import IDENTITY_VARIABLE, JobClaims
from include.retraining.runs.exit_protocol import read_last_line
from include.retraining.runs.job_end import JobEnd, JobEnds
from include.retraining.scoring.any_run import read_any_plan
from include.retraining.store.layout import RunPaths
from include.retraining.store.marker import open_store
from include.retraining.store.object_store import OPTIONS_VARIABLE, Store

ROOT = Path(__file__).resolve().parents[3]
MARGIN_SECONDS = 10.0
"""How long before the function's own timeout the steps are ended, so that it can be recorded."""
STOP_SECONDS = 1.0
"""Between two checks of whether the job is to end."""
STOP_PATIENCE = timedelta(seconds=2)
"""How long such a check may take: a store that hangs must not keep the job beyond its time."""
OUTPUT_SECONDS = 2.0
"""How long to read on once the process has ended: what left its group may hold the pipe."""
TICK_SECONDS = 0.1
# All that a job gets of the function's environment: the system's, and what opens the store.
PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "LD_LIBRARY_PATH",
    "GIT_SHA",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    OPTIONS_VARIABLE,
)

How = Literal["exited", "timed_out", "stopped"]


class Invocation(Document):
    """What a function is invoked with. No secret is in it: its role opens the store."""

    name: str
    """The job's name, for whoever reads the function's log."""
    steps: tuple[JobStep, ...]
    run: str
    """The address of the run's folder."""
    attempt: str
    claim: int
    timeout_seconds: float
    environment: dict[str, str]
    """How many threads numeric libraries may use."""


def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run the steps of one claim, unless they may not start any more or run already.

    Args:
        event: the fields of an `Invocation`.
        context: the request's, as Lambda's runtime gives it.

    Returns:
        For whoever reads the function's log: how the job ended, or why it did not start.

    Raises:
        RetrainingError: when the store cannot be opened: nothing has started.
    """
    invocation = Invocation.from_bytes(json.dumps(event).encode(), where="the event")
    sys.stdout.write(f"job {invocation.name}\n")
    store_uri, paths = RunPaths.from_uri(invocation.run)
    store = open_store(store_uri)
    left = context.get_remaining_time_in_millis() / 1000
    until = time.monotonic() + min(invocation.timeout_seconds, left - MARGIN_SECONDS)
    # Of its own for each delivery of the same event.
    identity = f"{context.aws_request_id}:{uuid.uuid4().hex}"
    try:
        JobClaims(store, paths, read_any_plan(store, paths)).begin(
            invocation.claim,
            invocation.steps[0],
            identity=identity,
            ends_by=datetime.now(UTC)
            + timedelta(seconds=until - time.monotonic() + MARGIN_SECONDS),
            log=f"{context.log_group_name}:{context.log_stream_name}",
        )
    except EvidenceError as error:
        sys.stdout.write(f"{error}\n")
        return {"started": False, "reason": str(error)}
    impatient = Store(store.uri, store.options, patience=STOP_PATIENCE)
    is_to_stop = _stop_check(JobEnds(impatient, paths), invocation.claim)
    end = _run(invocation, identity, until, is_to_stop)
    JobEnds(store, paths).record(end)
    return {"started": True, "how": end.how, "exit_code": end.exit_code}


def _run(
    invocation: Invocation, identity: str, until: float, is_to_stop: Callable[[], bool]
) -> JobEnd:
    """Run the steps in a child process and return how it ended; its group is ended then."""
    command = [sys.executable, "-m", "include.retraining", *invocation.steps]
    command += ["--run", invocation.run, "--attempt", invocation.attempt]
    command += ["--claim", str(invocation.claim)]
    # The one folder that can be written to outlives an invocation, and so would what lies in it.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(  # noqa: S603 our own program, no shell
            command,
            cwd=ROOT,
            env=_environment(invocation.environment, identity, folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            errors="replace",
        )
        output = _Output(process.stdout)
        try:
            how = _wait(process, until, is_to_stop)
        finally:
            with suppress(ProcessLookupError, PermissionError):  # whatever it started and left
                os.killpg(process.pid, signal.SIGKILL)
            exit_code = process.wait()
            output.join()
    said = [read_last_line(output.last_line, step) for step in invocation.steps]
    return JobEnd(
        number=invocation.claim,
        how=how,
        exit_code=exit_code,
        last_line=output.last_line if any(said) else "",
        at=datetime.now(UTC),
    )


def _wait(process: subprocess.Popen[str], until: float, is_to_stop: Callable[[], bool]) -> How:
    """Wait for a process, for its time, or for a request to end it; return what came first."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(TICK_SECONDS)
            return "exited"
        if time.monotonic() > until:
            return "timed_out"
        if is_to_stop():
            return "stopped"


def _stop_check(ends: JobEnds, number: int) -> Callable[[], bool]:
    """Return a check of whether a job is to end that asks the store every `STOP_SECONDS`."""
    next_at = time.monotonic() + STOP_SECONDS

    def is_to_stop() -> bool:
        nonlocal next_at
        if time.monotonic() < next_at:
            return False
        next_at = time.monotonic() + STOP_SECONDS
        try:
            stop = ends.requested_stop(number)
        except StorageError as error:  # the next check may succeed; the job goes on
            sys.stdout.write(f"cannot check whether this job is to end: {error}\n")
            return False
        if stop is not None:
            sys.stdout.write(f"this job is to end: {stop.reason}\n")
        return stop is not None

    return is_to_stop


def _environment(threads: Mapping[str, str], identity: str, folder: str) -> dict[str, str]:
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return environment | {
        **threads,
        IDENTITY_VARIABLE: identity,
        "HOME": folder,
        "MPLCONFIGDIR": f"{folder}/matplotlib",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": folder,
    }


class _Output:
    """Repeats the lines of a process in the function's log, and keeps the last one."""

    def __init__(self, lines: IO[str] | None) -> None:
        assert lines is not None  # noqa: S101 it was opened as a pipe
        self.last_line = ""
        self._lines = lines
        self._thread = threading.Thread(target=self._repeat, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the process's last line was repeated."""
        self._thread.join(OUTPUT_SECONDS)
        if not self._thread.is_alive():
            self._lines.close()

    def _repeat(self) -> None:
        for line in self._lines:
            self.last_line = line.rstrip("\r\n")
            sys.stdout.write(f"{self.last_line}\n")
            sys.stdout.flush()
