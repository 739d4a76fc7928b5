"""Tests of the child process: it shows what it does, and it always ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from include.orchestration.backends.local.process import GRACE_SECONDS, ChildProcess, Start, spawn
from tests.support.process_ends import has_ended
from tests.support.warm_jobs import start_bare

ROOT = Path(__file__).resolve().parents[5]
StartProgram = Callable[..., ChildProcess]


@pytest.fixture(params=[spawn, start_bare], ids=["from scratch", "warm"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> StartProgram:
    """Run a Python program as a child process, once from scratch and once from a warm parent."""
    how: Start = request.param

    def run(program: str, **options: float | int | None) -> ChildProcess:
        settings = {"timeout_seconds": 60, **options}
        (tmp_path / "program.py").write_text(textwrap.dedent(program))
        return ChildProcess(
            [sys.executable, "-m", "program"],
            folder=tmp_path,
            environment={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
            start=how,
            **settings,  # type: ignore[arg-type]
        )

    return run


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for a condition, and fail when it does not come."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def test_lines_come_while_the_child_still_runs(start: StartProgram, tmp_path: Path) -> None:
    """A line is yielded before the child writes the next one."""
    child = start(
        """
        import pathlib, sys, time
        print("first")
        while not pathlib.Path("go").exists(): time.sleep(0.01)
        print("second", file=sys.stderr)
        sys.stdout.write("no newline")
        """,
    )
    lines = child.lines()
    assert next(lines) == "first"
    (tmp_path / "go").touch()
    assert list(lines) == ["second", "no newline"]
    child.end()
    assert child.exit_code == 0


def test_exit_code_is_the_childs(start: StartProgram) -> None:
    """The exit code is handed on."""
    child = start("raise SystemExit(75)")
    assert list(child.lines()) == []
    child.end()
    assert child.exit_code == 75


@pytest.mark.fault("C08")
def test_a_child_that_ignores_sigterm_and_its_children_are_killed_at_the_timeout(
    start: StartProgram,
) -> None:
    """Nothing of the group is left after the timeout, though all of it ignores SIGTERM."""
    child = start(
        """
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        grandchild = subprocess.Popen([sys.executable, "-c", '''
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("deaf", flush=True)
        time.sleep(600)
        '''.replace("        ", "")])
        print(grandchild.pid)
        time.sleep(600)
        """,
        timeout_seconds=1.5,
    )
    started = time.monotonic()
    lines = list(child.lines())
    child.end()
    grandchild = int(next(line for line in lines if line.isdigit()))
    assert child.stopped_because == "took longer than 1.5 s"
    assert child.exit_code == -signal.SIGKILL
    assert time.monotonic() - started < 1.5 + GRACE_SECONDS + 3
    wait_until(lambda: has_ended(grandchild))


def test_a_grandchild_left_behind_is_killed(start: StartProgram) -> None:
    """What the child leaves running does not keep us waiting and is gone after `end`."""
    child = start(
        """
        import subprocess, sys
        print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid)
        """,
    )
    (line,) = child.lines()
    child.end()
    assert child.exit_code == 0
    wait_until(lambda: has_ended(int(line)))


def test_stop_lets_the_child_end_by_itself(start: StartProgram) -> None:
    """SIGTERM comes first, so that a child may tidy up."""
    child = start(
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: (print("tidied"), sys.exit(0)))
        print("ready")
        time.sleep(600)
        """,
    )
    lines = child.lines()
    assert next(lines) == "ready"
    child.stop("told to")
    assert list(lines) == ["tidied"]
    child.end()
    assert child.stopped_because == "told to"


@pytest.mark.fault("C02")
def test_a_kill_names_memory_as_the_likely_cause(start: StartProgram) -> None:
    """SIGKILL is what the out-of-memory killer sends, and the peak is said with it."""
    child = start("import os; print(os.getpid()); input()", memory_bytes=4 * 2**30)
    lines = child.lines()
    os.kill(int(next(lines)), signal.SIGKILL)
    assert list(lines) == []
    child.end()
    assert child.exit_code == -signal.SIGKILL
    assert "SIGKILL), most likely out of memory: it used up to 0." in child.cause_of_death()
    assert "of 4 GiB allowed" in child.cause_of_death()


@pytest.mark.fault("M03")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process that runs")
def test_memory_is_limited(start: StartProgram) -> None:
    """A child that asks for more than its limit is refused it."""
    child = start(
        """
        import os
        input() if os.environ.get("never") else None
        import time; time.sleep(0.2)
        bytearray(2_000_000_000)
        """,
        memory_bytes=1_000_000_000,
    )
    lines = list(child.lines())
    child.end()
    assert lines[-1] == "MemoryError"
    assert child.exit_code == 1


PARENT = """
import os, sys
from pathlib import Path
from include.orchestration.backends.local.process import ChildProcess, Orphaned, spawn
from tests.support.warm_jobs import start_bare

folder = Path(sys.argv[0]).parent
(folder / "program.py").write_text("import time; print('working', flush=True); time.sleep(600)")
child = ChildProcess(
    [sys.executable, "-m", "program"],
    folder=folder, environment={}, timeout_seconds=600, start=START,
)
print(child.pid, flush=True)
try:
    for line in child.lines():
        print(line, flush=True)
except Orphaned:
    child.end()
    os._exit(7)
"""


SUPERVISOR = """
import subprocess, sys, time
worker = subprocess.Popen([sys.executable, sys.argv[1]])
print(worker.pid, flush=True)
time.sleep(600)
"""


@contextmanager
def working(folder: Path, how: str) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """Run a supervisor, its worker and the worker's job; give the first, and the ids of both."""
    (folder / "worker.py").write_text(PARENT.replace("START", how))
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(folder / "worker.py")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert supervisor.stdout is not None
    with supervisor.stdout:
        worker = int(supervisor.stdout.readline())
        job = int(supervisor.stdout.readline())
        assert supervisor.stdout.readline() == "working\n"
        yield supervisor, worker, job
        supervisor.kill()
        supervisor.wait()


@pytest.mark.fault("C04")
@pytest.mark.parametrize("how", ["spawn", "start_bare"])
def test_an_orphaned_worker_ends_its_child(tmp_path: Path, how: str) -> None:
    """When the supervisor is killed, the worker notices and takes the job with it (E6)."""
    with working(tmp_path, how) as (supervisor, worker, job):
        supervisor.kill()
        supervisor.wait()
        wait_until(lambda: has_ended(job))
        wait_until(lambda: has_ended(worker))


@pytest.mark.fault("C01")
def test_a_warm_job_ends_when_its_task_is_killed(tmp_path: Path) -> None:
    """Even a job that does not watch its standard input."""
    with working(tmp_path, "start_bare") as (_, worker, job):
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: has_ended(job))
