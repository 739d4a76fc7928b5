"""This process: when it began, what memory it took at most, and its end with its parent."""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path


def peak_memory_bytes() -> int:
    """Return the greatest resident set of this process.

    Linux counts into `ru_maxrss` what the parent used before this program replaced it; `VmHWM` is
    the program's own.
    """
    try:
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1]) * 1024  # type: ignore[index]
    except (OSError, TypeError):  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def peak_memory_of_children_bytes() -> int:
    """Return the greatest resident set of the processes that this one started and that ended."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit


def reset_peak_memory() -> None:
    """Reset the peak for the next step of the same process. Linux only."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def process_started() -> float:
    """Return when this process started, in seconds since 1970 (now, where the system hides it)."""
    try:
        after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return time.time()
    age = uptime - int(after_name[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def die_with_parent() -> None:
    """End this process and all its children when its standard input is closed.

    The parent holds the other end of the pipe and never writes to it, so that end of file means
    that the parent is gone, however it went. The job becomes the leader of its process group first.
    """
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    threading.Thread(target=_wait_for_end_of_input, name="end-with-parent", daemon=True).start()


def _wait_for_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    try:
        os.write(2, b"the parent process is gone: this job ends\n")
    finally:
        os.killpg(0, signal.SIGKILL)
