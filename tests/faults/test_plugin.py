"""The marks of faults are true to the catalogue, and a run of them says what was not proven."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.catalogue import AREAS, MOST_DANGEROUS, catalogue

ROOT = Path(__file__).parents[2]


def run(folder: Path, code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run one file of tests in a folder with the plugin."""
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "test_it.py").write_text(f"import pytest\n\n{code}")
    (folder / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n    fault(*cases): x\n    slow: x\n    rare: x\n    airflow: x\n"
    )
    named = [] if any("/" in option for option in options) else ["tests"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "xdist",
        "-p",
        "tests.faults.plugin",
        *options,
        *named,
    ]
    # Half of the time went into plugins that these tests do not use.
    environment = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_every_case_has_an_area_and_says_something() -> None:
    """The area is the first letter; both lines are there."""
    for case in catalogue().values():
        assert case.id[0] in AREAS
        assert case.tier in {"u", "m", "CP", "a"}
        assert case.priority in {"P0", "P1", "P2"}
        assert case.happens
        assert case.holds


def test_the_most_dangerous_cases_are_in_the_catalogue() -> None:
    """Ten, all of them on a whole Airflow."""
    assert len(MOST_DANGEROUS) == 10
    assert {catalogue()[name].tier for name in MOST_DANGEROUS} == {"a"}


def test_a_mark_of_an_unknown_case_is_an_error(tmp_path: Path) -> None:
    """The error names the test, the id and the file where cases are."""
    said = run(tmp_path, '@pytest.mark.fault("Z99")\ndef test_it():\n    pass\n')
    assert said.returncode == pytest.ExitCode.USAGE_ERROR
    assert "test_it is marked with Z99" in said.stderr
    assert "tests/faults/catalogue.yaml" in said.stderr


TIERS = (
    '@pytest.mark.rare\n@pytest.mark.fault("C01")\ndef test_dangerous():\n    pass\n\n'
    '@pytest.mark.rare\n@pytest.mark.fault("J05")\ndef test_rare():\n    pass\n\n'
    '@pytest.mark.slow\n@pytest.mark.fault("K05")\ndef test_slow():\n    pass\n\n'
    "def test_everyday():\n    pass\n"
)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), {"everyday"}),
        (("--slow", "--faults", "quick"), {"slow", "dangerous"}),
        (("--slow", "--faults", "quick", "-n", "2"), {"slow", "dangerous"}),
        (("--faults", "quick"), {"everyday", "slow", "dangerous"}),
        (("--faults", "all"), {"everyday", "slow", "dangerous", "rare"}),
        (("tests/test_it.py",), {"everyday", "slow", "dangerous", "rare"}),
        (("tests/test_it.py::test_rare",), {"rare"}),
        (("./tests/",), {"everyday"}),
    ],
)
def test_what_takes_minutes_runs_when_it_is_asked_for(
    tmp_path: Path, options: tuple[str, ...], expected: set[str]
) -> None:
    """An everyday run leaves it out, as a named folder does; a named file is run whole."""
    said = run(tmp_path, TIERS, "-v", *options).stdout
    assert set(re.findall(r"PASSED.*::test_(\w+)|::test_(\w+) PASSED", said)) == {
        (name, "") if "-n" in options else ("", name) for name in expected
    }


def test_a_slow_run_imports_no_file_of_everyday_tests(tmp_path: Path) -> None:
    """A file that names neither mark may be broken: a slow run never reads it."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_everyday.py").write_text("raise OSError('imported')\n")
    said = run(tmp_path, TIERS, "--slow")
    assert (said.returncode, "1 passed" in said.stdout) == (0, True), said.stdout
    assert "imported" in run(tmp_path, TIERS).stdout


@pytest.mark.parametrize("processes", [(), ("-n", "2")])
def test_a_run_of_all_faults_fails_when_a_case_was_not_proven(
    tmp_path: Path, processes: tuple[str, ...]
) -> None:
    """Neither a skipped test nor, for a case on a whole Airflow, one without it proves anything."""
    code = (
        '@pytest.mark.fault("G01")\ndef test_it():\n    pass\n\n'
        '@pytest.mark.fault("G02")\ndef test_skipped():\n    pytest.skip("no")\n\n'
        '@pytest.mark.fault("C03")\ndef test_without_airflow():\n    pass\n\n'
        '@pytest.mark.airflow\n@pytest.mark.fault("C04")\ndef test_with_airflow():\n    pass\n'
    )
    said = run(tmp_path, code, "--faults", "all", *processes)
    assert said.returncode == pytest.ExitCode.TESTS_FAILED
    (line,) = [line for line in said.stdout.splitlines() if line.startswith("No passing test: ")]
    named = set(line.removeprefix("No passing test: ").split(". ")[0].split(", "))
    assert {"G02", "C03"} <= named
    assert not {"G01", "C04", "M05", "J05"} & named  # proven, proven, with a reason, not P0
    left = json.loads((tmp_path / ".local" / "faults.json").read_text())
    assert left["tests"]["G01"] == ["tests/test_it.py::test_it"]
    assert left["cases"]["G02"]["result"] == "skipped"
