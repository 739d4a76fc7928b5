"""Which commit a folder's runs use: a folder is no git bundle, so Airflow itself does not know."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

CODE = ("dags", "include", "plugins")
DIRTY = "-dirty"


def commit_of(root: Path) -> str | None:
    """Return the commit that a work tree holds, ending in `-dirty` where it holds more.

    A change that is not committed is more, and so is a file of code that git neither knows nor
    ignores. None where git knows of no commit.
    """
    described = _git(root, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
    if not described or described.endswith(DIRTY):
        return described
    untracked = _git(root, "ls-files", "--others", "--exclude-standard", "--", *CODE)
    return f"{described}{DIRTY}" if untracked else described


def _git(root: Path, *words: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(root), *words]
    completed = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 ours
    return completed.stdout.strip() if completed.returncode == 0 else None
