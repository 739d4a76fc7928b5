"""docs/faults.md says what the catalogue and the marks of the tests say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults import plugin
from tests.faults.catalogue import catalogue
from tests.faults.page import (
    PAGE,
    earlier,
    merged,
    names_of,
    newest,
    render,
    without_results,
)

RUN: dict[str, Any] = {
    "ran_at": "2026-11-27 04:00 UTC",
    "commit": "abc1234",
    "python": "3.12.1",
    "cases": {"G01": {"result": "passed", "seconds": 61.2}},
}


def test_a_page_shows_every_case() -> None:
    """With its tests, result and time, or with the reason for which there is none."""
    tests = {
        "G01": ["tests/test_x.py::test_one_wins[s3]", "tests/test_x.py::test_one_wins[folder]"]
    }
    page = render(tests, RUN)
    for case in catalogue().values():
        assert f"\n| {case.id} {case.priority}" in page
        assert (case.not_here or case.holds) in page
    (line,) = [line for line in page.splitlines() if line.startswith("| G01")]
    assert line.endswith("| [one wins](../tests/test_x.py) | passed | 61 |")


def test_only_results_and_times_may_differ() -> None:
    """Another text or another test is another page; another time is not."""
    tests = {"G01": ["tests/test_x.py::test_one_wins"]}
    later = {**RUN, "commit": "def", "cases": {"G01": {"result": "failed", "seconds": 0.1}}}
    page = without_results(render(tests, RUN))
    assert without_results(render(tests, later)) == page
    assert without_results(render({"G01": ["tests/test_x.py::test_other"]}, RUN)) != page
    assert without_results(render(tests, RUN).replace("Eight promote", "Nine promote")) != page


def test_a_quick_run_keeps_what_an_earlier_one_said() -> None:
    """What it left out says at which commit it was run; what it ran, or broke, is new."""
    tests = {"G01": ["tests/test_x.py::test_one_wins"]}
    said = {name: {"result": "passed", "seconds": 61.2} for name in ("A01", "A07", "E02")}
    before = earlier(render(tests, {**RUN, "cases": said}))
    assert before["A01"] == {"result": "passed at abc1234", "seconds": 61}
    assert "G01" not in before  # it had no result
    run = {
        "A01": {"result": "passed", "seconds": 1.0, "is_proven": True},
        "A07": {"result": "passed", "seconds": 1.0, "is_proven": False},  # in one process only
    }
    found = merged(run, before)
    assert (found["A01"], found["A07"]) == (run["A01"], before["A07"])
    page = render(tests, {**RUN, "commit": "def5678", "cases": found})
    assert earlier(page)["A07"]["result"] == "passed at abc1234"
    assert earlier(page)["A01"]["result"] == "passed at def5678"
    broken = {"A07": {"result": "failed", "seconds": 1.0, "is_proven": False}}
    assert merged(broken, before)["A07"]["result"] == "failed"


def test_a_page_without_a_newer_run_keeps_its_results() -> None:
    """Only who proves what follows the tests; a newer run replaces the results."""
    said = {**RUN, "cases": {**RUN["cases"], "A07": {"result": "passed at 123abcd", "seconds": 9}}}
    page = render({"G01": ["tests/test_x.py::test_one_wins"]}, said)
    moved = {"G01": ["tests/test_y.py::test_one_wins"]}
    for last in (None, {**RUN, "cases": {}}):
        assert render(moved, newest(page, last)) == render(moved, said)
    later = {**RUN, "ran_at": "2026-11-28 04:00 UTC", "commit": "def5678", "cases": {}}
    assert earlier(render(moved, newest(page, later)))["G01"]["result"] == "passed at abc1234"


def test_parameters_are_no_part_of_a_name() -> None:
    """A test that runs on two stores is one test."""
    assert names_of(["a.py::b[x]", "a.py::b[y]", "a.py::c"]) == ["a.py::b", "a.py::c"]


def test_the_page_is_in_step(pytestconfig: pytest.Config) -> None:
    """Cases, texts and tests are those of the catalogue and the marks; results are a run's."""
    if not plugin.is_whole_run(pytestconfig):
        pytest.skip("which tests prove a case is known when all of tests/ is collected")
    tests = pytestconfig.stash[plugin.TESTS]
    assert without_results(PAGE.read_text()) == without_results(render(tests, RUN)), (
        "docs/faults.md is not in step: `python -m tests.faults.page` writes it"
    )
