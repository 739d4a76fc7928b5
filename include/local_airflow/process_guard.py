"""Run one command, and end it with everything it started when its own starter ends.

`python process_guard.py GRACE_SECONDS COMMAND…` holds a pipe on its standard input. When that pipe
closes, because the starter wants it to or because the starter was killed, the command's process
group gets SIGTERM, and after the grace period SIGKILL goes to all that is left of its family, in
whichever process group. `airflow standalone` does none of that and leaves its children behind.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil  # type: ignore[import-untyped]

PR_SET_CHILD_SUBREAPER = 36
POLL_SECONDS = 0.1
KILL_SECONDS = 10.0


def main() -> int:
    """Run the command given on the command line and return its exit code (128 + N for signal N)."""
    grace_seconds = float(sys.argv[1])
    asked_to_stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda got, _frame: asked_to_stop.append(got))
    _adopt_orphans()
    command = subprocess.Popen(  # noqa: S603 the starter's own command
        sys.argv[2:], stdin=subprocess.DEVNULL, process_group=0
    )
    status = None
    while status is None and not asked_to_stop:
        if select.select([0], [], [], POLL_SECONDS)[0] and not os.read(0, 4096):
            break
        status = _reap(command.pid)
    status = _end_family(command.pid, status, grace_seconds)
    return status if status is not None else 128 + signal.SIGKILL


def _adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, so that none gets lost.

    Linux only; elsewhere an orphan of a killed process is not found.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _reap(command: int) -> int | None:
    """Collect what has ended and return the command's exit code when it is among it."""
    status = None
    while True:
        try:
            pid, wait_status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == command:
            code = os.waitstatus_to_exitcode(wait_status)
            status = code if code >= 0 else 128 - code


def _end_family(command: int, status: int | None, grace_seconds: float) -> int | None:
    """End the command's group and then every descendant that is left."""
    deadline = time.monotonic() + grace_seconds
    with suppress(ProcessLookupError):
        os.killpg(command, signal.SIGTERM)
    while _family() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        status = _first_known(status, _reap(command))
    # A process may fork meanwhile, so repeat until none is left.
    deadline = time.monotonic() + KILL_SECONDS
    while (family := _family()) and time.monotonic() < deadline:
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(POLL_SECONDS)
        status = _first_known(status, _reap(command))
    return _first_known(status, _reap(command))


def _first_known(known: int | None, new: int | None) -> int | None:
    return known if known is not None else new


def _family() -> list[psutil.Process]:
    """Return every living descendant."""
    alive = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
    return alive


if __name__ == "__main__":
    sys.exit(main())
