"""What Airflow's DAG processor takes for each file of `dags/`: building, serialising, storing."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

MAX_SECONDS = 600
"""For two parses of every file, on a busy machine."""


def file_seconds(folder: Path, root: Path) -> dict[str, float]:
    """Return the wall time that the DAG processor took for each DAG file, as it stores it.

    Args:
        folder: empty; Airflow's home with a database of its own.
        root: the repository whose `dags/` are parsed.
    """
    database = folder / "airflow.db"
    bundle = {
        "name": "retraining",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(root)},
    }
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(root / "plugins"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        # A file that takes longer than the default is to be measured, not ended.
        "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": str(MAX_SECONDS),
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": str(MAX_SECONDS),
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    }
    for command in (["db", "migrate"], ["dag-processor", "--num-runs", "1"]):
        subprocess.run(
            [sys.executable, "-m", "airflow", *command],
            cwd=folder,
            env=environment,
            check=True,
            timeout=MAX_SECONDS,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    query = "SELECT relative_fileloc, max(last_parse_duration) FROM dag GROUP BY 1"
    with sqlite3.connect(database) as connection:
        return dict(connection.execute(query).fetchall())
