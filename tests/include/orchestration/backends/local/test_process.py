"""Tests of the child process: it shows what it does, and it always ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from include.orchestration.backends.local.process import GRACE_SECONDS, ChildProcess

ROOT = Path(__file__).resolve().parents[5]


def start(program: str, folder: Path, **options: float | int | None) -> ChildProcess:
    """Run a Python program."""
    settings = {"timeout_seconds": 60, **options}
    return ChildProcess(
        [sys.executable, "-c", textwrap.dedent(program)],
        folder=folder,
        environment={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
        **settings,  # type: ignore[arg-type]
    )


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for a condition, and fail when it does not come."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether no process, or only a dead one nobody has buried, has that id."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_lines_come_while_the_child_still_runs(tmp_path: Path) -> None:
    """A line is yielded before the child writes the next one."""
    child = start(
        """
        import pathlib, sys, time
        print("first")
        while not pathlib.Path("go").exists(): time.sleep(0.01)
        print("second", file=sys.stderr)
        sys.stdout.write("no newline")
        """,
        tmp_path,
    )
    lines = child.lines()
    assert next(lines) == "first"
    (tmp_path / "go").touch()
    assert list(lines) == ["second", "no newline"]
    child.end()
    assert child.exit_code == 0


def test_exit_code_is_the_childs(tmp_path: Path) -> None:
    """The exit code is handed on."""
    child = start("raise SystemExit(75)", tmp_path)
    assert list(child.lines()) == []
    child.end()
    assert child.exit_code == 75


@pytest.mark.fault("C08")
def test_a_child_that_ignores_sigterm_and_its_children_are_killed_at_the_timeout(
    tmp_path: Path,
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
        tmp_path,
        timeout_seconds=1.5,
    )
    started = time.monotonic()
    lines = list(child.lines())
    child.end()
    grandchild = int(next(line for line in lines if line.isdigit()))
    assert child.stopped_because == "took longer than 1.5 s"
    assert child.exit_code == -signal.SIGKILL
    assert time.monotonic() - started < 1.5 + GRACE_SECONDS + 3
    wait_until(lambda: is_gone(grandchild))


def test_a_grandchild_left_behind_is_killed(tmp_path: Path) -> None:
    """What the child leaves running does not keep us waiting and is gone after `end`."""
    child = start(
        """
        import subprocess, sys
        print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid)
        """,
        tmp_path,
    )
    (line,) = child.lines()
    child.end()
    assert child.exit_code == 0
    wait_until(lambda: is_gone(int(line)))


def test_stop_lets_the_child_end_by_itself(tmp_path: Path) -> None:
    """SIGTERM comes first, so that a child may tidy up."""
    child = start(
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: (print("tidied"), sys.exit(0)))
        print("ready")
        time.sleep(600)
        """,
        tmp_path,
    )
    lines = child.lines()
    assert next(lines) == "ready"
    child.stop("told to")
    assert list(lines) == ["tidied"]
    child.end()
    assert child.stopped_because == "told to"


@pytest.mark.fault("C02")
def test_a_kill_names_memory_as_the_likely_cause(tmp_path: Path) -> None:
    """SIGKILL is what the out-of-memory killer sends, and the peak is said with it."""
    child = start("import os; print(os.getpid()); input()", tmp_path, memory_bytes=4 * 2**30)
    lines = child.lines()
    os.kill(int(next(lines)), signal.SIGKILL)
    assert list(lines) == []
    child.end()
    assert child.exit_code == -signal.SIGKILL
    assert "SIGKILL), most likely out of memory: it used up to 0." in child.cause_of_death()
    assert "of 4 GiB allowed" in child.cause_of_death()


@pytest.mark.fault("M03")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process that runs")
def test_memory_is_limited(tmp_path: Path) -> None:
    """A child that asks for more than its limit is refused it."""
    child = start(
        """
        import os
        input() if os.environ.get("never") else None
        import time; time.sleep(0.2)
        bytearray(2_000_000_000)
        """,
        tmp_path,
        memory_bytes=1_000_000_000,
    )
    lines = list(child.lines())
    child.end()
    assert lines[-1] == "MemoryError"
    assert child.exit_code == 1


PARENT = """
import os, sys
from pathlib import Path
from include.orchestration.backends.local.process import ChildProcess, Orphaned

child = ChildProcess(
    [sys.executable, "-c", "import time; print('working', flush=True); time.sleep(600)"],
    folder=Path.cwd(), environment={}, timeout_seconds=600,
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


@pytest.mark.fault("C04")
def test_an_orphaned_worker_ends_its_child(tmp_path: Path) -> None:
    """When the supervisor is killed, the worker notices and takes the job with it (E6)."""
    (tmp_path / "worker.py").write_text(PARENT)
    supervisor = subprocess.Popen(
        [
            sys.executable,
            "-c",
            SUPERVISOR,
            str(tmp_path / "worker.py"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert supervisor.stdout is not None
    with supervisor.stdout:
        worker = int(supervisor.stdout.readline())
        job = int(supervisor.stdout.readline())
        assert supervisor.stdout.readline() == "working\n"
        supervisor.kill()
        supervisor.wait()
        wait_until(lambda: is_gone(job))
        wait_until(lambda: is_gone(worker))
