"""Start a job as a fork of the warm parent, which is started on first use; else from scratch."""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from include.orchestration.backends.local.process import Process, spawn
from include.orchestration.backends.local.warm_attendant import GO, SEEN, send_order
from include.orchestration.backends.local.warm_connection import LIBRARIES, NotWarm, connect

log = logging.getLogger(__name__)

SWITCH = "RETRAINING_WARM_JOBS"
"""A variable of Airflow's workers: `off` has every job start from scratch."""
ANSWER_SECONDS = 60.0


class WarmJob:
    """A job that was forked from the warm parent; used as `subprocess.Popen` is."""

    def __init__(self, connection: socket.socket, pid: int, stdin: int, stdout: int) -> None:
        """Know a job that waits for its start.

        Args:
            connection: to its attendant.
            pid: the job's process id.
            stdin: the descriptor that the job waits on; it ends when that is closed.
            stdout: the descriptor that its output is read from.
        """
        self.pid = pid
        self.stdin: IO[bytes] | None = os.fdopen(stdin, "wb", buffering=0)
        self.stdout: IO[bytes] | None = os.fdopen(stdout, "rb", buffering=0)
        self.returncode: int | None = None
        self.lost_because: str | None = None
        self._connection = connection
        self._peak = 0

    def poll(self) -> int | None:
        """Return the exit code, or None while the job runs."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self) -> int:
        """Wait for the job's end and return its exit code: minus the number of a signal.

        When its attendant is gone, nobody can say any more how it goes: it counts as killed, and
        who waits kills its group.
        """
        if self.returncode is None:
            try:
                receive(self._connection)
                self._connection.sendall(SEEN)
                end = receive(self._connection)
                self.returncode, self._peak = end["exit_code"], end["peak_memory_bytes"]
            except (OSError, EOFError):
                self.returncode = -signal.SIGKILL
                self.lost_because = "the process that waited for it (its attendant) was killed"
            self._connection.close()
        return self.returncode

    def peak_memory_bytes(self) -> int:
        """Return the greatest resident set of the job and of what it waited for."""
        return self._peak


def start_job(command: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> Process:
    """Start `python -m MODULE WORD…` from the warm parent, or from scratch where that cannot be.

    Args:
        command: program and arguments.
        folder: its working directory.
        environment: its whole environment.
    """
    try:
        return start_warm(command, folder=folder, environment=environment)
    except (NotWarm, OSError) as reason:
        log.info("the job starts from scratch: %s", reason)
        return spawn(command, folder=folder, environment=environment)


def start_warm(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    libraries: Sequence[Sequence[str]] = LIBRARIES,
) -> WarmJob:
    """Start `python -m MODULE WORD…` as a fork of the warm parent.

    Args:
        command: program and arguments.
        folder: its working directory.
        environment: its whole environment.
        libraries: what the parent imports, in groups.

    Raises:
        NotWarm: when it cannot be, saying why. The job has not started then.
        OSError: likewise.
    """
    _check_worth()
    _, _, module, *words = command
    order = {
        "module": module,
        "words": words,
        "folder": str(folder),
        "environment": dict(environment),
    }
    for is_last in (False, True):
        try:
            connection = connect(environment, libraries)
            try:
                return _begin(connection, order)
            except BaseException:
                connection.close()
                raise
        except (ConnectionError, EOFError) as error:
            # It may have ended just now, for one of its reasons; a new one has none.
            if is_last:
                raise NotWarm("the warm parent ends without an answer") from error
    raise AssertionError("unreachable")


def receive(connection: socket.socket) -> dict[str, Any]:
    """Return the next message.

    Raises:
        EOFError: when there is none to come.
    """
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            raise EOFError("the connection is closed")
        line += byte
    message: dict[str, Any] = json.loads(line)
    return message


def _check_worth() -> None:
    """Refuse where a warm parent cannot be, or is of no use.

    Raises:
        NotWarm: saying why.
    """
    if os.environ.get(SWITCH, "").lower() == "off":
        raise NotWarm(f"{SWITCH} is off")
    if sys.platform != "linux":
        raise NotWarm("only on Linux a job can fork from a parent that has its libraries")
    if os.environ.get("AIRFLOW_IS_K8S_EXECUTOR_POD"):
        raise NotWarm("this pod runs one task only")


def _begin(connection: socket.socket, order: dict[str, Any]) -> WarmJob:
    """Order a job and let it go.

    Raises:
        NotWarm: when the parent refuses.
        EOFError, OSError: when it does not answer.
    """
    connection.settimeout(ANSWER_SECONDS)
    theirs_in, ours_in = os.pipe()
    ours_out, theirs_out = os.pipe()
    try:
        send_order(connection, order, [theirs_in, theirs_out, theirs_out])
        answer = receive(connection)
        if "refused" in answer:
            raise NotWarm(answer["refused"])
        connection.sendall(GO)
        connection.settimeout(None)
        job = WarmJob(connection, answer["pid"], ours_in, ours_out)
        ours_in = ours_out = -1
        return job
    finally:
        for descriptor in (theirs_in, theirs_out, ours_in, ours_out):
            if descriptor >= 0:
                os.close(descriptor)
