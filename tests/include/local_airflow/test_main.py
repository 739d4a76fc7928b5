"""Tests of what `make run` starts: the words it takes."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("port", ["0", "65536", "-1", "abc", "80.0"])
def test_what_is_no_port_is_refused_at_once(port: str) -> None:
    """One line says what is allowed, before anything starts."""
    command = [sys.executable, "-m", "include.local_airflow", "--once", f"--port={port}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.endswith(f"'{port}' is not a port; allowed: 1 to 65535\n")
    assert done.stdout == ""
