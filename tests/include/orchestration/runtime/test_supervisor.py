"""A process that asked for it dies with its parent, however the parent went."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from tests.support.process_ends import has_ended

CHILD = """
import os, time
from include.orchestration.runtime.supervisor import die_with_parent
die_with_parent()
print(os.getpid(), flush=True)
time.sleep(600)
"""
PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", sys.argv[1]])
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's end")
def test_it_dies_when_its_parent_is_killed() -> None:
    """SIGKILL to the parent leaves no child."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    try:
        parent.kill()
        parent.wait()
        # Whoever adopts an orphan here may not collect it: a zombie does nothing either.
        psutil.wait_procs([child], timeout=1)
        assert has_ended(child.pid)
    finally:
        parent.stdout.close()
        with suppress(psutil.NoSuchProcess):
            child.kill()
