"""docs/new-model.md, walked as it is written: from a file of data to a pushed model."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from include.local_airflow.demo.samples import diabetes_progression
from tests.docs.markdown_files import ROOT

PAGE = ROOT / "docs" / "new-model.md"
SAMPLE = ROOT / "docs" / "example" / "patients.csv"


def blocks(language: str) -> list[str]:
    """The page's blocks of code in one language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of what a model needs, with an origin to push to."""
    root = tmp_path / "clone"
    unneeded = shutil.ignore_patterns("__pycache__", "local_airflow", "orchestration", "pages")
    shutil.copytree(ROOT / "include", root / "include", ignore=unneeded)
    (root / "docs" / "example").mkdir(parents=True)
    shutil.copy(SAMPLE, root / "docs" / "example")
    (root / ".venv").symlink_to(ROOT / ".venv")
    (root / ".gitignore").write_text(".venv\n.local\n__pycache__\n")
    git = ["git", "-c", "init.defaultBranch=main"]
    subprocess.run([*git, "init", "-q", "--bare", str(tmp_path / "origin")], check=True)
    subprocess.run([*git, "init", "-q", str(root)], check=True)
    for words in (
        ["config", "user.name", "Tests"],
        ["config", "user.email", "tests@example.org"],
        ["remote", "add", "origin", str(tmp_path / "origin")],
        ["config", "push.autoSetupRemote", "true"],
        ["add", "."],
        ["commit", "-q", "-m", "Clone"],
    ):
        subprocess.run(["git", *words], cwd=root, check=True)
    return root


@pytest.mark.slow
def test_the_page_is_walked_as_it_is_written(clone: Path, tmp_path: Path) -> None:
    """Each command ends well, `new` prints what the page shows, and the model is pushed."""
    script = "set -euo pipefail\n" + "".join(blocks("bash"))
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": "", "COLUMNS": "160"}
    environment.pop("RETRAINING_STORE", None)
    ended = subprocess.run(
        ["bash", "-c", script],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.startswith(blocks("text")[0])
    assert ended.stdout.count("patients: PASS: ") == 2
    assert ended.stdout.count("Nothing was promoted.") == 2
    assert (clone / ".local" / "predicted.csv").is_file()
    assert "against the champion's own score" in ended.stdout
    pushed = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", "main", "include/models/"],
        cwd=tmp_path / "origin",
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert {"include/models/patients.yaml", "include/models/patients.py"} <= set(pushed)
    assert (clone / "include/models/patients_nantes.yaml").is_file()


def test_the_sample_is_the_shipped_one() -> None:
    """`docs/example/patients.csv` is what `make run` lands for `diabetes_progression`."""
    assert SAMPLE.read_bytes() == diabetes_progression()
