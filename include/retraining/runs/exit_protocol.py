"""What a job hands to whoever started it when it ends: an exit code, and why in its last line.

A job that fails before it has opened the store can leave nothing there. Written by the job, read by
each backend.
"""

from __future__ import annotations

import re
from typing import NamedTuple

EXIT_DONE = 0
EXIT_PERMANENT = 1
"""The same inputs fail again; of a command, also that it was refused."""
EXIT_RETRY = 75
"""Another try may succeed (`EX_TEMPFAIL` of sysexits.h)."""


class LastLine(NamedTuple):
    """Why a step failed, as its job says it in its last line."""

    step: str
    kind: str
    """For records and alerts: `storage`, `out_of_memory`, …"""
    message: str

    def __str__(self) -> str:
        return f"{self.step} failed ({self.kind}): {' '.join(self.message.split())}"


_LAST_LINE = re.compile(r"(?P<step>\w+) failed \((?P<kind>\w+)\): (?P<message>.+)")


def exit_code(*, is_permanent: bool) -> int:
    """Return the exit code of a failure."""
    return EXIT_PERMANENT if is_permanent else EXIT_RETRY


def read_last_line(line: str, step: str) -> LastLine | None:
    """Return what a step's job says in its last line, or None where it is any other line."""
    match = _LAST_LINE.match(line)
    return LastLine(**match.groupdict()) if match and match["step"] == step else None
