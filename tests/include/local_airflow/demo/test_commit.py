"""The commit that a record names is what ran, or is marked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from include.local_airflow.demo.commit import commit_of


@pytest.fixture
def work_tree(tmp_path: Path) -> Path:
    """A work tree with one commit of one file of code."""
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "model.py").write_text("")
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    author = ("-c", "user.name=tests", "-c", "user.email=tests@example.com")
    for words in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "is_marked"),
    [
        (None, False),
        ("include/model.py", True),
        ("include/new.yaml", True),
        ("dags/new.py", True),
        ("include/model.pyc", False),
        ("notes.txt", False),
    ],
)
def test_what_is_in_no_commit_marks_it(work_tree: Path, file: str | None, is_marked: bool) -> None:
    """A changed file is in no commit, and neither is code that git was not told of."""
    if file is not None:
        (work_tree / file).parent.mkdir(exist_ok=True)
        (work_tree / file).write_text("x = 1\n")
    commit = commit_of(work_tree)
    assert commit is not None
    assert len(commit.removesuffix("-dirty")) == 40
    assert commit.endswith("-dirty") == is_marked


def test_a_folder_without_git_has_no_commit(tmp_path: Path) -> None:
    """Then a record names none."""
    assert commit_of(tmp_path) is None
