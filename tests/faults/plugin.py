"""`--faults quick|all` runs the tests of faults and ends with a table of what held.

A test names the cases of `catalogue.yaml` that it proves: `@pytest.mark.fault("G01")`. Tests that
take minutes are not run every day: those marked `slow` run with `--slow` (which runs nothing else)
and with `--faults`, those marked `rare` with `--faults` only. A file that is named runs whole, a
folder that is named runs what an everyday run would run of it.

With several processes (`-n`) what they report is put together here.
"""

from __future__ import annotations

import io
import json
import platform
import subprocess
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from tests.faults.catalogue import MOST_DANGEROUS, Case, catalogue


@dataclass
class Result:
    """What a run said of one case.

    Attributes:
        outcomes: what became of each test, by its name.
        seconds: what they took together.
        has_airflow: whether a test on a whole Airflow passed.
    """

    outcomes: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    has_airflow: bool = False

    @property
    def word(self) -> str:
        """One word for all tests: a failure outweighs everything, a skipped test proves nothing."""
        said = set(self.outcomes.values())
        return next((word for word in ("failed", "passed", "skipped") if word in said), "not run")


CASES = catalogue()
TESTS = pytest.StashKey[dict[str, list[str]]]()
RESULTS = pytest.StashKey[dict[str, Result]]()
AIRFLOW_SECONDS = 1200
"""After which a test on a whole Airflow is ended: on a busy machine all its waits are long."""
CASE, ON_AIRFLOW = "fault", "airflow"
"""What a test's report says of it."""


def cases_of(item: pytest.Item) -> set[str]:
    """Return the ids of the cases that a test proves."""
    return {name for mark in item.iter_markers("fault") for name in mark.args}


def is_whole_run(config: pytest.Config) -> bool:
    """Return whether every test file was asked for and no test left out by its name."""
    option = config.option
    return config.args == ["tests"] and not (option.keyword or option.lf or option.slow)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file of everyday tests for a run of the others."""
    is_slow_run = config.getoption("slow") and config.args == ["tests"]
    if not is_slow_run or not collection_path.match("test_*.py"):
        return None
    text = collection_path.read_text(encoding="utf-8")
    return None if "mark.slow" in text or "mark.rare" in text else True


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing known."""
    config.stash[TESTS] = {}
    config.stash[RESULTS] = {}
    config.pluginmanager.register(Notes(config))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--faults` and `--slow`."""
    parser.addoption(
        "--faults",
        choices=("quick", "all"),
        help="end with the table of faults, and run the slow and the rare tests too: of the rare "
        f"ones those of {', '.join(sorted(MOST_DANGEROUS))} (quick), or all",
    )
    parser.addoption("--slow", action="store_true", help="leave out what everyday runs have")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse a mark of an unknown case, note who proves what, and leave slow tests out."""
    tests: dict[str, list[str]] = defaultdict(list)
    wanted, left_out = [], []
    for item in items:
        cases = cases_of(item)
        if unknown := sorted(cases - CASES.keys()):
            raise pytest.UsageError(
                f"{item.nodeid} is marked with {', '.join(unknown)}, which is not in "
                "tests/faults/catalogue.yaml: add the case there, or mark an existing one"
            )
        for case in sorted(cases):
            tests[case].append(item.nodeid)
            item.user_properties.append((CASE, case))
        if item.get_closest_marker("airflow"):
            item.add_marker(pytest.mark.timeout(AIRFLOW_SECONDS))
            item.user_properties.append((ON_AIRFLOW, True))
        (wanted if _is_wanted(config, item, cases) else left_out).append(item)
    config.stash[TESTS] = dict(tests)
    if left_out:
        items[:] = wanted
        config.hook.pytest_deselected(items=left_out)


def _is_wanted(config: pytest.Config, item: pytest.Item, cases: set[str]) -> bool:
    faults, slow = config.getoption("faults"), config.getoption("slow")
    is_named = item.path in {Path(name.partition("::")[0]).resolve() for name in config.args}
    if item.get_closest_marker("rare"):
        return is_named or faults == "all" or (faults == "quick" and bool(cases & MOST_DANGEROUS))
    if item.get_closest_marker("slow"):
        return is_named or slow or faults is not None
    return not slow


def noted(results: dict[str, Result], report: pytest.TestReport) -> None:
    """Note a phase's outcome and time for the cases that its test proves."""
    properties = [tuple(pair) for pair in report.user_properties]
    for case in (value for key, value in properties if key == CASE):
        result = results.setdefault(str(case), Result())
        result.seconds += report.duration
        if report.when == "call" or not report.passed:
            known = result.outcomes.get(report.nodeid)
            result.outcomes[report.nodeid] = "failed" if known == "failed" else report.outcome
            if report.passed and (ON_AIRFLOW, True) in properties:
                result.has_airflow = True


class Notes:
    """Listens where all reports arrive: here, or from the processes that run the tests."""

    def __init__(self, config: pytest.Config) -> None:
        """Listen for a run."""
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a report."""
        noted(self.config.stash[RESULTS], report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over who proves what from a process that has ended."""
        self.config.stash[TESTS].update(getattr(node, "workeroutput", {}).get(CASE, {}))


def is_proven(case: Case, result: Result) -> bool:
    """Return whether a case's tests passed, one of them on a whole Airflow if it is about that."""
    return result.word == "passed" and (case.tier != "a" or result.has_airflow)


def unproven(results: dict[str, Result]) -> list[Case]:
    """Return the P0 cases that no test proved, and that do not say why there is none."""
    return [
        case
        for case in CASES.values()
        if case.priority == "P0"
        and not case.not_here
        and not is_proven(case, results.get(case.id, Result()))
    ]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A whole run leaves what it found; one of all faults fails when a P0 case was not proven."""
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput[CASE] = config.stash[TESTS]
        return
    chosen = config.getoption("faults")
    if not chosen or not is_whole_run(config) or config.option.collectonly:
        return
    _leave_results(config)
    if chosen == "all" and not session.exitstatus:
        session.exitstatus = pytest.ExitCode(bool(unproven(config.stash[RESULTS])))


def _leave_results(config: pytest.Config) -> None:
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, cwd=config.rootpath, capture_output=True, text=True, check=False)
    found = {
        "ran_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": commit.stdout.strip() or "unknown",
        "python": platform.python_version(),
        "tests": config.stash[TESTS],
        "cases": {
            name: {
                "result": result.word,
                "seconds": round(result.seconds, 1),
                "is_proven": name in CASES and is_proven(CASES[name], result),
            }
            for name, result in config.stash[RESULTS].items()
        },
    }
    path = config.rootpath / ".local" / "faults.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=1))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """End with the table, when `--faults` was asked for."""
    which = config.getoption("faults")
    if which is None or config.option.collectonly:
        return
    results = config.stash[RESULTS]
    terminalreporter.section("faults")
    terminalreporter.write(_table(results))
    if which == "all" and is_whole_run(config) and (missing := unproven(results)):
        terminalreporter.write_line(
            f"No passing test: {', '.join(case.id for case in missing)}. Each P0 case needs one, "
            "or a reason (not_here) in tests/faults/catalogue.yaml.",
            red=True,
        )


def _table(results: dict[str, Result]) -> str:
    table = Table()
    for heading in ("case", "what happens", "result"):
        table.add_column(heading)
    table.add_column("seconds", justify="right")
    table.add_column("tests", justify="right")
    for case in CASES.values():
        if case.id in results:
            result = results[case.id]
            seconds, count = f"{result.seconds:.1f}", str(len(result.outcomes))
            table.add_row(case.id, case.happens, result.word, seconds, count)
    text = io.StringIO()
    Console(file=text, width=100).print(table)
    return text.getvalue()
