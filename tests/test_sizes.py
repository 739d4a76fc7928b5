"""The check of sizes in `make lint`: what it refuses, and what it lets pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[1] / ".ci" / "check_sizes.py"
BODY = "    x = 1\n"


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the sizes in a folder as `make lint` does."""
    return subprocess.run(
        [sys.executable, CHECK, str(folder)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("source", "finding"),
    [
        ("x = 1\n" * 351, "code.py:1: the file has 351 lines, at most 350 are allowed"),
        (
            "class A:\n    def act(self):\n" + "        x = 1\n" * 40,
            "code.py:2: act has 41 lines without its docstring, at most 40 are allowed",
        ),
        (
            "async def act(\n    a,\n):\n" + BODY * 38,
            "code.py:1: act has 41 lines without its docstring, at most 40 are allowed",
        ),
    ],
)
def test_what_is_too_long_is_refused(tmp_path: Path, source: str, finding: str) -> None:
    """A long file and a long function, its signature included, are named with their length."""
    (tmp_path / "code.py").write_text(source)
    result = check(tmp_path)
    assert result.returncode == 1
    assert finding in result.stdout


@pytest.mark.parametrize(
    "source",
    [
        "x = 1\n" * 350,
        "def act():\n" + BODY * 39,
        'def act():\n    """Say.\n\n    Much.\n    """\n' + BODY * 39,
        "def act():  # long: one table\n" + BODY * 60,
        "# long: one table\n" + "x = 1\n" * 400,
    ],
)
def test_what_has_a_reason_or_a_fair_length_passes(tmp_path: Path, source: str) -> None:
    """A docstring does not count, and a reason beside the length is accepted."""
    (tmp_path / "code.py").write_text(source)
    result = check(tmp_path)
    assert (result.returncode, result.stdout) == (0, "")


def test_a_folder_without_code_is_an_error(tmp_path: Path) -> None:
    """A misspelt folder is not taken for one in which nothing is too long."""
    assert check(tmp_path / "nowhere").returncode == 2
