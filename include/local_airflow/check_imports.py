"""`python -m include.local_airflow.check_imports`: every DAG file and plugin imports.

That is `make check`. With what is installed: no database, no other process, nothing is left behind.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(root: Path = ROOT) -> int:
    """Import all of a repository as Airflow does; print the DAGs, and what is wrong."""
    with tempfile.TemporaryDirectory(prefix="airflow-home-") as home:
        # Before the first import of Airflow, which reads it then.
        os.environ["AIRFLOW_HOME"] = home
        os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(root / "plugins")
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
        sys.path.append(str(root / "plugins"))
        problems, dags = _imported(root)
    for dag in dags:
        print(dag)
    if not dags:
        problems.append(f"there is no DAG in {root}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def _imported(root: Path) -> tuple[list[str], list[str]]:
    """Return what could not be imported and the ids of the DAGs."""
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.plugins_manager import get_import_errors

    bag = BundleDagBag(dag_folder=root, bundle_path=root, bundle_name="retraining")
    broken = {**bag.import_errors, **get_import_errors()}
    problems = [f"{file}: {error}" for file, error in broken.items()]
    for name, dag in bag.dags.items():
        if "unreadable" in dag.tags:  # what stands in for a model
            problems.append(f"{name}: {dag.doc_md}")
    return problems, sorted(bag.dags)


if __name__ == "__main__":
    sys.exit(main())
