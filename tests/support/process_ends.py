"""Whether a process has ended, for tests that kill some and ask while it ends."""

from __future__ import annotations

import psutil


def has_ended(pid: int) -> bool:
    """Whether no process has that id, or only a dead one that nobody has collected yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
