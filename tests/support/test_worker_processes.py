"""How tests are given to several processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.worker_processes import LONGEST, ON_ONE_AIRFLOW, unit

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("file", LONGEST)
def test_files_that_are_named_are_there(file: str) -> None:
    """A file that was moved would lose its place."""
    assert (ROOT / file).is_file()


def test_files_on_one_airflow_are_those_that_share_it() -> None:
    """Two processes would each start one."""
    users = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "tests" / "e2e").glob("test_*.py")
        if "shared.with_models(" in file.read_text()
    }
    assert users == set(ON_ONE_AIRFLOW)


def test_files_on_one_airflow_go_to_one_process() -> None:
    """Their tests are one unit of work, and those of any other file another."""
    units = {unit(f"{file}::test_it") for file in ON_ONE_AIRFLOW}
    assert len(units) == 1
    assert unit("tests/test_runbooks.py::test_it[x::y]") == "tests/test_runbooks.py"
