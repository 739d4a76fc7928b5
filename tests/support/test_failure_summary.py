"""The last 20 lines of a run that failed say what failed, however long its output is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLANTED = """
import pytest

@pytest.fixture
def broken():
    raise OSError("no such Airflow")

def test_long():
    print("a line of a log\\n" * 5000)
    assert ["a line of a log"] * 5000 == [], "\\n".join(["the promotion is missing", *["x"] * 5000])

def test_setup(broken):
    pass

@pytest.mark.parametrize("number", range({many}))
def test_many(number):
    assert number < 0
"""


@pytest.mark.parametrize(("processes", "many"), [((), 20), (("-n", "2"), 9)])
def test_what_failed_stands_at_the_end(
    tmp_path: Path, processes: tuple[str, ...], many: int
) -> None:
    """One line per test with its reason, on a CI too, where pytest itself shortens nothing."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_planted.py").write_text(PLANTED.format(many=many))
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -rsxX\n")
    plugin = ["-p", "tests.support.failure_summary"]
    said = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, *processes, "tests"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "CI": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == pytest.ExitCode.TESTS_FAILED
    end = said.stdout.splitlines()[-20:]
    name = "FAILED tests/test_planted.py::"
    assert f"{name}test_long: AssertionError: the promotion is missing" in end
    assert f"{name}test_setup (setup): OSError: no such Airflow" in end
    assert ("and 10 more" in end) == (many == 20)
    assert f"{many + 1} failed, 1 error" in end[-1]


def test_a_file_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    """An error while tests are collected is one line too."""
    (tmp_path / "test_planted.py").write_text("import nowhere\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    said = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.support.failure_summary"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = [line for line in said.stdout.splitlines()[-20:] if line.startswith("FAILED")]
    reason = "E   ModuleNotFoundError: No module named 'nowhere'"
    assert line == f"FAILED test_planted.py (collect): {reason}"
