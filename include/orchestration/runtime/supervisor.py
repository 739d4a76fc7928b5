"""A task that changes production does not outlive its supervisor.

Airflow runs a task in a child of its supervisor, which sends the heartbeats. When the supervisor
is killed, Airflow writes the task off and starts the next try, but the child runs on.
"""

from __future__ import annotations

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process at the moment when its parent dies.

    Linux only; elsewhere an orphan may still run, and a promotion that it makes is recorded by the
    correction beside the run's record. Call it before the next request to the supervisor, such as
    for a connection: a parent that was gone before is noticed there.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
