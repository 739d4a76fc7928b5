"""What all processes that this one started use: those that have ended count as well."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]

SAMPLE_SECONDS = 10.0
"""Between two looks at the memory; a look reads a file for each process."""


def cpu_seconds() -> float:
    """Return the CPU time of every descendant, of those that have ended too.

    Whoever collects an ended process adds its time to that of its own children, and a keeper
    (`process_guard.py`) collects what others leave behind: so each is counted once.
    """
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])  # its own and its children's, user and system
    return total


class PeakMemory:
    """The most memory that all descendants had together at one look."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self.bytes = 0

    def look(self) -> None:
        """Add up the memory as it is now; what processes share is divided among them."""
        now = 0
        for process in psutil.Process().children(recursive=True):
            with suppress(OSError, TypeError):  # it ended meanwhile
                text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
                now += int(re.search(r"^Pss:\s+(\d+) kB$", text, re.MULTILINE)[1]) * 1024  # type: ignore[index]
        self.bytes = max(self.bytes, now)


@contextmanager
def peak_memory() -> Iterator[PeakMemory]:
    """Watch over the memory of all descendants meanwhile."""
    peak, ended = PeakMemory(), threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            peak.look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()
        peak.look()
