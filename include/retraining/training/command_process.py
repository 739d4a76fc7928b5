"""Running a command in another language: in a folder of its own, without a shell or a secret.

In format 1 a command runs to its end. In format 2 one that predicts is asked line by line: it gets
the names of two files on its standard input and writes the line back when the second one is there.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from include.retraining.config.command_protocol import TASK_FILE
from include.retraining.exceptions import TrainingError
from include.retraining.runs.machine_environment import machine_environment

log = logging.getLogger(__name__)

# All that a command gets of our environment, beside what says where libraries and GPUs are; the
# rest holds the store's options and credentials.
PASSED_ON = (
    "PATH",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
# The same everywhere: how text sorts and what time it is must not depend on the machine.
ALWAYS = {"LANG": "C.UTF-8", "TZ": "UTC"}
STOP_SECONDS = 10.0
"""How long a command may take to end once nothing more is asked of it."""
LINE_BYTES = 65_536
SEE_LOG = "what it said is in the log of the job"


@contextmanager
def workplace(scripts: Mapping[str, bytes]) -> Iterator[Path]:
    """Give a fresh folder with copies of the scripts, which is gone afterwards."""
    # What a command left running may still write; it must not turn success into failure.
    with tempfile.TemporaryDirectory(prefix="retraining-", ignore_cleanup_errors=True) as name:
        root = Path(name).resolve()
        (root / "home").mkdir()
        place = root / "work"
        place.mkdir()
        write_files(place, scripts)
        yield place


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder, by their path in it."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def run_command(task: str, command: tuple[str, ...], place: Path) -> None:
    """Run a command to its end; what it says goes to this process's standard error as it comes.

    Raises:
        TrainingError: when it cannot be started, or does not end with exit code 0.
    """
    process = _start(task, command, place, is_asked=False)
    try:
        process.wait()
    finally:
        process.kill()
        process.wait()
        _end_what_it_left(place.parent / "home")
    _require_success(task, command, process.returncode)


class RunningCommand:
    """A command that answers one request after another.

    What else it writes to its standard output goes to this process's standard error, when the next
    answer is waited for.
    """

    def __init__(self, task: str, command: tuple[str, ...], place: Path) -> None:
        """Start it.

        Args:
            task: what it does, for errors: `predict`.
            command: program and arguments.
            place: its folder, which holds the task.

        Raises:
            TrainingError: when it cannot be started.
        """
        self._task, self._command = task, command
        self._process = _start(task, command, place, is_asked=True)
        self._asked = 0
        self._is_overdue = False
        self._ending = threading.Thread(target=self._await_end, args=(place,), daemon=True)
        self._ending.start()

    def ask(self, line: str) -> None:
        """Write a line and return when the command has written the same line back.

        Raises:
            TrainingError: when it ends, or closes its standard output, before it does.
        """
        requests, answers = self._pipes
        self._asked += 1
        expected = line.encode()
        with suppress(BrokenPipeError):  # it is gone, and says nothing more below
            requests.write(expected + b"\n")
            requests.flush()
        is_whole = True
        while said := answers.readline(LINE_BYTES):
            if is_whole and said.rstrip(b"\r\n") == expected:
                return
            is_whole = said.endswith(b"\n")
            _pass_on(said)
        self._ending.join(STOP_SECONDS)
        code = self._process.returncode
        how = "closed its standard output" if code is None else _ended(code)
        raise _failure(
            self._task, self._command, f"{how} before it answered request {self._asked}; {SEE_LOG}"
        )

    def finish(self) -> None:
        """Close the command's standard input and wait for its end; kill it where it takes too long.

        Raises:
            TrainingError: when it ends with another exit code than 0.
        """
        requests, answers = self._pipes
        with suppress(BrokenPipeError):
            requests.close()
        overdue = threading.Timer(STOP_SECONDS, self._kill_as_overdue)
        overdue.start()
        while said := answers.readline(LINE_BYTES):
            _pass_on(said)
        self._ending.join()
        overdue.cancel()
        if not self._is_overdue:
            _require_success(self._task, self._command, self._process.returncode)

    def kill(self) -> None:
        """End the command and all that it started."""
        self._process.kill()
        self._ending.join()
        for pipe in self._pipes:
            with suppress(BrokenPipeError):
                pipe.close()

    @property
    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None and answers is not None  # noqa: S101, PT018 as it was started
        return requests, answers

    def _await_end(self, place: Path) -> None:
        """End what the command left when it ends: a child of it may hold its standard output."""
        self._process.wait()
        _end_what_it_left(place.parent / "home")

    def _kill_as_overdue(self) -> None:
        self._is_overdue = True
        log.warning(
            "training.commands.%s (%s): did not end within %g s of the end of its standard input: "
            "it is killed, and what it answered counts",
            self._task,
            " ".join(self._command),
            STOP_SECONDS,
        )
        self._process.kill()


def _start(
    task: str, command: tuple[str, ...], place: Path, *, is_asked: bool
) -> subprocess.Popen[bytes]:
    home = place.parent / "home"
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment = passed_on | machine_environment(os.environ) | ALWAYS
    log.info("%s: %s", task, " ".join(command))
    sys.stderr.flush()
    try:
        # In our own process group, so that it ends whenever and however the job is ended.
        return subprocess.Popen(  # noqa: S603 from the reviewed YAML, no shell
            [*command, TASK_FILE],
            cwd=place,
            env=environment | {"HOME": str(home), "TMPDIR": str(home)},
            stdin=subprocess.PIPE if is_asked else subprocess.DEVNULL,
            stdout=subprocess.PIPE if is_asked else 2,
            stderr=2,
        )
    except OSError as error:
        raise _failure(
            task,
            command,
            f"cannot be started: {error.strerror}: {command[0]!r} must be installed where this "
            "step runs",
        ) from error


def _pass_on(said: bytes) -> None:
    """Write what a command said to the log of the job."""
    while said:
        said = said[os.write(2, said) :]


def _require_success(task: str, command: tuple[str, ...], exit_code: int) -> None:
    if exit_code != 0:
        raise _failure(task, command, f"{_ended(exit_code)}; {SEE_LOG}")


def _ended(exit_code: int) -> str:
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    name = signal.Signals(-exit_code).name
    suspicion = ", most likely out of memory" if name == "SIGKILL" else ""
    return f"was killed ({name}){suspicion}"


def _end_what_it_left(home: Path) -> None:
    """Kill what a command started and did not end: what still has its HOME in its environment.

    Linux only; elsewhere it runs until the job ends.
    """
    mark = f"HOME={home}".encode()
    for _ in range(100):
        left = [entry for entry in Path("/proc").glob("[0-9]*") if mark in _environment(entry)]
        if not left:
            return
        for entry in left:
            with suppress(ProcessLookupError):
                os.kill(int(entry.name), signal.SIGKILL)
        time.sleep(0.01)


def _environment(entry: Path) -> list[bytes]:
    """Return the environment of a process; empty when it is not ours or is gone."""
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


@contextmanager
def refusing(task: str, command: tuple[str, ...]) -> Iterator[None]:
    """Turn what is wrong with a command's files into an error that names the command."""
    try:
        yield
    except ValueError as error:
        raise _failure(task, command, str(error)) from error


def _failure(task: str, command: tuple[str, ...], text: str) -> TrainingError:
    return TrainingError(f"training.commands.{task} ({' '.join(command)}): {text}")
