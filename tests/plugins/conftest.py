"""The plugins folder on the import path, as Airflow puts it there."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
# Before the first import of Airflow, which reads it then.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))
if str(PLUGINS) not in sys.path:
    sys.path.append(str(PLUGINS))
