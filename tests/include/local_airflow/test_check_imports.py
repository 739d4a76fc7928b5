"""`make check`: what imports is listed, and what does not is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from include.retraining.config.model import model_names
from tests.support.repository_copy import REPOSITORY, copy_repository


def check(root: Path) -> subprocess.CompletedProcess[str]:
    """Check a repository, as `make check` does."""
    command = [sys.executable, "-m", "include.local_airflow.check_imports"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_this_repository_imports() -> None:
    """Every model's DAG and every other one is listed."""
    done = check(REPOSITORY)
    assert (done.returncode, done.stderr) == (0, "")
    dags = {
        *(f"retrain_{name}" for name in model_names()),
        "rollback_model",
        "watch_models",
        "upkeep",
    }
    assert dags <= set(done.stdout.split())


def test_what_is_broken_is_named(tmp_path: Path) -> None:
    """A DAG file, a plugin and a model that are broken are all named, and the exit code is 1."""
    root = copy_repository(tmp_path)
    (root / "dags" / "broken_dag.py").write_text("from airflow.sdk import DAG\nimport no_such_a\n")
    (root / "plugins" / "broken_plugin.py").write_text("import no_such_b  # airflow.plugins\n")
    (root / "include" / "models" / "pears.yaml").write_text("name: [")
    done = check(root)
    assert done.returncode == 1
    for word in ("no_such_a", "no_such_b", "pears.yaml"):
        assert word in done.stderr
    assert "retrain_loan_approval" in done.stdout
