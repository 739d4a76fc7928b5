"""A child process in its own process group, which never outlives the one that started it."""

from __future__ import annotations

import logging
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

log = logging.getLogger(__name__)

# Airflow sends SIGKILL to a task five seconds after SIGTERM: the child must be gone before.
GRACE_SECONDS = 3.0
TICK_SECONDS = 0.5
CHUNK_BYTES = 65_536
MAX_LINE_BYTES = 16_384


class Orphaned(Exception):
    """The process that started this one is gone: nothing waits for the result."""


class Process(Protocol):
    """A process that was started: what is used of `subprocess.Popen`, and two things more."""

    pid: int
    """Its id, which is also its group's."""
    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    returncode: int | None
    lost_because: str | None
    """Why nobody knows how it went; None when it is known."""

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""

    def wait(self) -> int:
        """Wait for the end and return the exit code; minus the number of a signal."""

    def peak_memory_bytes(self) -> int:
        """Return the greatest resident set of it and of what it waited for. Only after its end."""


class Spawned(subprocess.Popen[bytes]):
    """A process that was started from scratch."""

    lost_because: str | None = None

    def peak_memory_bytes(self) -> int:
        """Return the greatest resident set of all that this process started and that ended."""
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit


class Start(Protocol):
    """Starts a command with pipes as its standard input and output, in a session of its own."""

    def __call__(
        self, command: Sequence[str], *, folder: Path, environment: Mapping[str, str]
    ) -> Process:
        """Start it in a folder, with a whole environment."""


def spawn(command: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> Process:
    """Start a command from scratch.

    Args:
        command: program and arguments; no shell takes part.
        folder: its working directory.
        environment: its whole environment.
    """
    return Spawned(
        list(command),
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


class ChildProcess:
    """One command, its output, and the ways it may end.

    Its standard input is a pipe that nothing is written to. The command watches it: it closes when
    this process ends, however it ends.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        timeout_seconds: float,
        memory_bytes: int | None = None,
        start: Start = spawn,
    ) -> None:
        """Start the command.

        Args:
            command: program and arguments; no shell takes part.
            folder: its working directory.
            environment: its whole environment.
            timeout_seconds: seconds after which it is ended.
            memory_bytes: limit of its own memory, for each process of it: what it allocates, not
                what it only maps or reserves; None for none.
            start: how.
        """
        self.stopped_because: str | None = None
        self._timeout_seconds = timeout_seconds
        self._memory_bytes = memory_bytes
        self._parent = os.getppid()
        self._started = time.monotonic()
        self._kill_at = float("inf")
        self._process = start(command, folder=folder, environment=environment)
        if memory_bytes is not None:
            self._limit_memory(memory_bytes)

    @property
    def pid(self) -> int:
        """The child's process id, which is also its group's."""
        return self._process.pid

    @property
    def exit_code(self) -> int:
        """The exit code; minus the signal's number when a signal ended it. Only after `end`."""
        assert self._process.returncode is not None  # noqa: S101 it has ended
        return self._process.returncode

    def lines(self) -> Iterator[str]:
        """Yield the output line by line as it comes, until the child has ended.

        Raises:
            Orphaned: when this process has lost its own parent.
        """
        output = self._process.stdout
        assert output is not None  # noqa: S101 it was opened as a pipe
        os.set_blocking(output.fileno(), False)
        pending = b""
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while self._process.poll() is None:
                self._check_clock_and_parent()
                if selector.select(TICK_SECONDS):
                    chunk = _read(output.fileno())
                    if not chunk:  # it closed its output and runs on
                        time.sleep(TICK_SECONDS / 10)
                    pending = yield from _whole_lines(pending + chunk)
        while chunk := _read(output.fileno()):
            pending = yield from _whole_lines(pending + chunk)
        if pending:
            yield _text(pending)

    def stop(self, reason: str) -> None:
        """Ask the child and all it started to end; who does not is killed a little later.

        Safe in a signal handler: it only sends a signal and notes the time.
        """
        if self.stopped_because is None:
            self.stopped_because = reason
            self._kill_at = time.monotonic() + GRACE_SECONDS
            self._signal_group(signal.SIGTERM)

    def end(self) -> None:
        """Kill what is left of the child and of all it started, and wait for it."""
        self._signal_group(signal.SIGKILL)
        self._process.wait()
        if self.stopped_because is None:
            self.stopped_because = self._process.lost_because
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def cause_of_death(self) -> str:
        """Return the likely reason why a signal ended the child. Only after `end`."""
        name = signal.Signals(-self.exit_code).name
        peak = self._process.peak_memory_bytes()
        # A library that is refused memory may also give up by itself, or run into nothing.
        is_limited = self._memory_bytes is not None
        signs = {"SIGKILL", "SIGABRT", "SIGSEGV"} if is_limited else {"SIGKILL"}
        suspicion = ", most likely out of memory" if name in signs else ""
        limit = f" of {self._memory_bytes / 2**30:.3g} GiB allowed" if self._memory_bytes else ""
        return f"killed ({name}){suspicion}: it used up to {peak / 2**30:.2f} GiB{limit}"

    def _check_clock_and_parent(self) -> None:
        now = time.monotonic()
        if os.getppid() != self._parent:
            raise Orphaned
        if now - self._started > self._timeout_seconds:
            self.stop(f"took longer than {self._timeout_seconds:g} s")
        if now > self._kill_at:
            self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # no process is left in it
            os.killpg(self._process.pid, number)

    def _limit_memory(self, memory_bytes: int) -> None:
        if not hasattr(resource, "prlimit"):
            log.warning("memory has no effect: only Linux can limit a process that runs")
            return
        with suppress(ProcessLookupError):  # it has ended already
            resource.prlimit(self.pid, resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, CHUNK_BYTES)
    except BlockingIOError:
        return b""


def _whole_lines(data: bytes) -> Generator[str, None, bytes]:
    """Yield the complete lines of ``data`` and return what is left over."""
    *lines, rest = data.split(b"\n")
    for line in lines:
        yield _text(line)
    if len(rest) > MAX_LINE_BYTES:
        yield _text(rest)
        rest = b""
    return rest


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")
