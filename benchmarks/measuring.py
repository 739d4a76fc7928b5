"""Running a command and measuring it, and the rows of the table."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    part: str
    what: str
    ours: str
    theirs: str = ""
    ratio: float | None = None
    limit: float | None = None
    """The greatest ratio that is acceptable."""

    @property
    def is_good(self) -> bool:
        """Whether the ratio keeps its limit; true where there is none."""
        return self.ratio is None or self.limit is None or self.ratio <= self.limit


@dataclass(frozen=True)
class Used:
    """What a command used."""

    seconds: float
    """Wall time."""
    peak_bytes: int
    """The greatest resident set."""
    output: str


def run(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str] | None = None
) -> Used:
    """Run a command to its end and measure it.

    Raises:
        RuntimeError: with its output, when it fails.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{output[-4000:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Used(seconds, usage.ru_maxrss * unit, output)


def python(*arguments: str, folder: Path, environment: Mapping[str, str] | None = None) -> Used:
    """Run Python with these arguments and measure it."""
    return run([sys.executable, *arguments], folder=folder, environment=environment)


def best_seconds(code: str, *, folder: Path, repeats: int = 3) -> float:
    """Return the shortest wall time of a piece of Python in a fresh interpreter."""
    return min(python("-c", code, folder=folder).seconds for _ in range(repeats))
