"""An Airflow without a database, reading this repository as its bundle."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Before the first import of Airflow, which reads it then.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))
os.environ.setdefault("AIRFLOW__CORE__PLUGINS_FOLDER", str(ROOT / "plugins"))
if str(ROOT / "plugins") not in sys.path:
    sys.path.append(str(ROOT / "plugins"))
