"""An Airflow home of this process's own, with this repository's plugins.

A plugin of pytest, so that it is there before anything imports Airflow, which reads both only then:
no test writes to the user's own Airflow, and none depends on which test came first.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"

# With `-n`, not the one that the first process hands down.
HOME = tempfile.mkdtemp(prefix="airflow-home-")
os.environ["AIRFLOW_HOME"] = HOME
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(PLUGINS)
sys.path.append(str(PLUGINS))


def pytest_unconfigure() -> None:
    """Remove it."""
    shutil.rmtree(HOME, ignore_errors=True)
