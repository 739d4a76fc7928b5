"""Jobs that fork from a warm parent, in tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from include.orchestration.backends.local.process import Process
from include.orchestration.backends.local.warm_start import start_warm


def start_bare(command: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> Process:
    """Start `python -m MODULE` from a parent that has imported nothing, which costs a test little.

    Args:
        command: program and arguments.
        folder: its working directory.
        environment: its whole environment.
    """
    return start_warm(command, folder=folder, environment=environment, libraries=())
