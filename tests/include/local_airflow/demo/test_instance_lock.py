"""Two Airflows in one clone would share database, store and samples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from include.local_airflow.demo.instance_lock import single_instance
from include.local_airflow.demo.run import run_demo
from include.local_airflow.errors import AlreadyRunning

URL = "http://127.0.0.1:8080"
HOLDER = """\
import sys
from pathlib import Path
from include.local_airflow.demo.instance_lock import single_instance
with single_instance(Path(sys.argv[1]), "http://127.0.0.1:8080"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_in_a_clone_is_refused_whatever_its_port(tmp_path: Path) -> None:
    """It names who is there; one that was killed is in nobody's way."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / ".local")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        said = rf"already \(process {holder.pid}, {URL}\)"
        with pytest.raises(AlreadyRunning, match=said):
            run_demo(tmp_path, port=9999, once=True, console=None)  # type: ignore[arg-type]
        with single_instance(tmp_path / "another", URL):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with single_instance(tmp_path / ".local", URL):
        pass
