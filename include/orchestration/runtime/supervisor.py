"""A task that changes production does not outlive the process that answers for it.

Airflow runs a task in a child of its supervisor, which sends the heartbeats. When the supervisor
is killed, Airflow writes the task off and starts the next try, but the child goes on.
"""

from __future__ import annotations

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Let the kernel kill this process at the moment when its parent dies.

    Only Linux can; elsewhere an orphan may still go on, and a promotion that it makes is told by
    the correction beside the run's record. Call it before the supervisor is next asked for
    something, such as a connection: a parent that was gone before is noticed there.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
