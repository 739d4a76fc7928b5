"""How much memory and log a job on the worker may use where its model names no limit.

Two settings in the environment of Airflow's workers; docs/compute.md describes them.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from include.retraining.exceptions import ConfigError

MEMORY_SHARE = "RETRAINING_JOB_MEMORY_SHARE"
DEFAULT_MEMORY_SHARE = 0.9
LOG_MIB = "RETRAINING_JOB_LOG_MIB"
DEFAULT_LOG_MIB = 50
TAIL_BYTES = 256 * 1024
"""How much of the end is kept of an output that was cut."""


def memory_limit(memory_mib: int | None) -> int:
    """Return how many bytes a job may have: what its model names, else a share of the worker's.

    Raises:
        ConfigError: when the setting is no share.
    """
    if memory_mib is not None:
        return memory_mib * 2**20
    share = _setting(MEMORY_SHARE, DEFAULT_MEMORY_SHARE, least=0.05, most=1)
    return int(share * worker_memory_bytes())


def log_limit() -> int:
    """Return how many bytes of a job's output the task's log takes.

    Raises:
        ConfigError: when the setting is no number of MiB.
    """
    return int(_setting(LOG_MIB, DEFAULT_LOG_MIB, least=1, most=100_000) * 2**20)


def worker_memory_bytes(
    groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> int:
    """Return the memory of the host, or of the container this runs in where that has less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    names = ["memory.max", "memory/memory.limit_in_bytes"]  # version 2, version 1
    try:
        place = own.read_text().rpartition("::")[2].strip().strip("/")
    except OSError:  # not Linux
        place = ""
    folders = [groups, *(groups / part for part in _paths(place))]
    for file in (folder / name for folder in folders for name in names):
        try:
            limits.append(int(file.read_text()))
        except (OSError, ValueError):  # there is none here, or it says "max"
            continue
    return min(limits)


def limited(lines: Iterable[str], max_bytes: int) -> Iterator[str]:
    """Yield a job's lines up to a limit, a note that the rest is cut, and the end.

    Args:
        lines: as they come.
        max_bytes: how much is yielded before the cut.
    """
    said, left_out = 0, 0
    tail: deque[str] = deque()
    kept = 0
    is_cut = False
    for line in lines:
        size = len(line) + 1
        said += size
        if said <= max_bytes and not is_cut:
            yield line
            continue
        if not is_cut:
            is_cut = True
            yield f"cut here at {max_bytes / 2**20:g} MiB ({LOG_MIB}); the end follows"
        tail.append(line)
        kept += size
        while kept > TAIL_BYTES and len(tail) > 1:
            kept -= len(tail.popleft()) + 1
            left_out += 1
    if is_cut:
        yield f"{left_out:,} lines were left out here; it said {said / 2**20:.1f} MiB in all"
        yield from tail


def _paths(place: str) -> list[str]:
    """Return a path and all those above it."""
    parts = place.split("/") if place else []
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _setting(name: str, default: float, *, least: float, most: float) -> float:
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise ConfigError(
            f"the environment's {name} is {text[:20]!r}; allowed: {least:g} to {most:,g}"
        )
    return value
