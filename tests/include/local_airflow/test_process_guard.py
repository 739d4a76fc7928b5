"""The keeper ends a command with everything it started."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from include.local_airflow import process_guard

# A family as Airflow's: a child that ignores SIGTERM, in a process group of its own, whose parent
# has gone already.
FAMILY = """
import os, signal, sys, time
if os.fork() == 0:
    if os.fork() == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(300)
    os._exit(0)
time.sleep(300)
"""


def start(*command: str, grace: float = 0.5) -> subprocess.Popen[bytes]:
    """Start a keeper of a command."""
    return subprocess.Popen(
        [sys.executable, "-P", process_guard.__file__, str(grace), *command],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, for a minute at most."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def exit_code(process: subprocess.Popen[bytes]) -> int:
    """Wait for a keeper to end by itself and return its exit code."""
    code = process.wait(timeout=60)
    assert process.stdin is not None
    process.stdin.close()
    return code


def start_family(tmp_path: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start a keeper of a family and return it with the pid of the stubborn orphan."""
    file = tmp_path / "pid"
    process = start(sys.executable, "-c", FAMILY, str(file))
    wait_until(lambda: file.exists() and file.read_text() != "")
    return process, int(file.read_text())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
@pytest.mark.parametrize("how", ["close the pipe", "SIGTERM"])
def test_whole_family_ends(tmp_path: Path, how: str) -> None:
    """An orphan that ignores SIGTERM in another process group ends with the keeper."""
    process, orphan = start_family(tmp_path)
    if how == "SIGTERM":
        process.terminate()
    else:
        assert process.stdin is not None
        process.stdin.close()
    exit_code(process)
    assert not psutil.pid_exists(orphan)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
def test_starter_killed(tmp_path: Path) -> None:
    """When the keeper's starter is killed, the command and its family end."""
    file = tmp_path / "pid"
    starter = (
        "import subprocess, sys, time\n"
        f"command = [sys.executable, '-P', {process_guard.__file__!r}, '0.5']\n"
        f"command += [sys.executable, '-c', {FAMILY!r}, {str(file)!r}]\n"
        "keeper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)\n"
        "time.sleep(300)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", starter])
    wait_until(lambda: file.exists() and file.read_text() != "")
    orphan = int(file.read_text())
    process.kill()
    process.wait()
    wait_until(lambda: not psutil.pid_exists(orphan))


@pytest.mark.parametrize(("body", "code"), [("raise SystemExit(7)", 7), ("pass", 0)])
def test_exit_code(body: str, code: int) -> None:
    """The keeper's exit code is its command's."""
    assert exit_code(start(sys.executable, "-c", body)) == code


def test_killed_command() -> None:
    """A command that a signal ended is reported as 128 + the signal, as a shell does."""
    body = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert exit_code(start(sys.executable, "-c", body)) == 137


def test_keeper_lets_a_command_finish_its_work(tmp_path: Path) -> None:
    """Within the grace period a command may end in its own way."""
    body = (
        "import signal, sys, time\n"
        "def end(*_):\n    open(sys.argv[1], 'w').write('tidy'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "open(sys.argv[2], 'w').close()\n"
        "time.sleep(300)\n"
    )
    done, ready = tmp_path / "done", tmp_path / "ready"
    process = start(sys.executable, "-c", body, str(done), str(ready), grace=20)
    wait_until(ready.exists)
    os.kill(process.pid, 15)
    assert exit_code(process) == 0
    assert done.read_text() == "tidy"
