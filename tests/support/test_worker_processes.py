"""How tests are given to several processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.shared_airflow import files_that_share
from tests.support.worker_processes import LONGEST, ON_ONE_AIRFLOW, unit

pytest_plugins = ("pytester",)

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


def test_no_other_file_keeps_the_airflow_running(pytester: pytest.Pytester) -> None:
    """It ends with the last file that uses it, whatever the arguments of other tests are called."""
    config = '[pytest]\nmarkers = airflow\naddopts = "-p no:cacheprovider"\n'
    pytester.makeini(config)
    user = pytester.makepyfile(
        test_user="""
        import pytest

        @pytest.fixture
        def shared(): ...

        @pytest.mark.airflow
        def test_it(shared): ...
        """,
        test_other="""
        import pytest

        @pytest.mark.parametrize("shared", [1])
        def test_it(shared): ...
        """,
    )
    items, _ = pytester.inline_genitems()
    assert [item.path.name for item in items] == ["test_other.py", "test_user.py"]
    assert files_that_share(items) == {user}


def test_files_on_one_airflow_go_to_one_process() -> None:
    """Their tests are one unit of work, and those of any other file another."""
    units = {unit(f"{file}::test_it") for file in ON_ONE_AIRFLOW}
    assert len(units) == 1
    assert unit("tests/test_runbooks.py::test_it[x::y]") == "tests/test_runbooks.py"
