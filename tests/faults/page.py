"""docs/faults.md: what may break, what holds all the same, and what the last run said of it.

`python -m tests.faults.page` writes it: who proves what from the marks of today's tests, results
from what `make test-faults` left in `.local/faults.json`, where that is newer than the page. Of a
case that the run left out (`FAULTS=quick`), the page keeps what an earlier run said, and when.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.faults.catalogue import AREAS, MOST_DANGEROUS, Case, catalogue

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults.md"
RUN = ROOT / ".local" / "faults.json"
TIERS = {
    "u": "in one process",
    "m": "with servers on loopback",
    "CP": "killed at every write",
    "a": "on a whole Airflow",
}
INTRODUCTION = f"""\
# What may break, and what holds all the same

Made by `python -m tests.faults.page` from a run of `make test-faults`; the cases are those of
[catalogue.yaml](../tests/faults/catalogue.yaml). A result with a commit beside it is of another
run: this one left the case out, because it takes minutes, or it was run again once its test was
mended. After a case the invariants of [invariants.py](../tests/support/invariants.py) must hold,
whatever it broke.

`make test-faults FAULTS=quick` leaves out what takes minutes, but for the ten cases that would do
the most harm: {", ".join(sorted(MOST_DANGEROUS))}. P0 cases must pass; P1 and P2 follow as time
allows.
"""


def names_of(tests: Iterable[str]) -> list[str]:
    """Return the names of tests without their parameters, each once, sorted."""
    return sorted({re.sub(r"\[.*", "", test) for test in tests})


def render(tests: Mapping[str, Iterable[str]], run: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        tests: the ids of each case's tests.
        run: what a full run left: `ran_at`, `commit`, `python` and `cases` with `result` and
            `seconds`.
    """
    cases = catalogue().values()
    lines = [
        INTRODUCTION,
        f"The run: {run['ran_at']}, commit {run['commit']}, Python {run['python']}.",
    ]
    for letter, area in AREAS.items():
        lines += ["", f"## {letter}: {area}", ""]
        lines += [
            "| case | what happens | what holds | tests | result | seconds |",
            "|---|---|---|---|---|---:|",
        ]
        for case in cases:
            if case.id.startswith(letter) and not case.not_here:
                said = run["cases"].get(case.id, {"result": "no test yet", "seconds": 0})
                lines.append(_row(case, names_of(tests.get(case.id, ())), said))
    lines += [
        "",
        "## Not here",
        "",
        "| case | what happens | why there is no test |",
        "|---|---|---|",
    ]
    lines += [
        f"| {case.id} {case.priority} | {case.happens} | {case.not_here} |"
        for case in cases
        if case.not_here
    ]
    return "\n".join(lines) + "\n"


def _row(case: Case, names: list[str], said: Mapping[str, Any]) -> str:
    links = "<br>".join(_link(name) for name in names) or "none yet"
    about = f"{case.id} {case.priority}, {TIERS[case.tier]}"
    seconds = f"{said['seconds']:.0f}" if said["seconds"] >= 1 else "< 1"
    return f"| {about} | {case.happens} | {case.holds} | {links} | {said['result']} | {seconds} |"


def _link(name: str) -> str:
    file, _, test = name.partition("::")
    return f"[{test.removeprefix('test_').replace('_', ' ')}](../{file})"


def without_results(page: str) -> list[str]:
    """Return a page's lines without what changes from run to run: the run, results and times."""
    lines = [line for line in page.splitlines() if not line.startswith("The run: ")]
    return [
        re.sub(r" \| [^|]* \| [^|]* \|$", "", line) if _is_row(line) else line for line in lines
    ]


def _is_row(line: str) -> bool:
    return line.startswith("| ") and line.count(" | ") == 5


def earlier(page: str) -> dict[str, dict[str, Any]]:
    """Return, by case, what a page says of it, with the commit at which it was run."""
    said = re.search(r"^The run: .*, commit (\w+),", page, re.MULTILINE)
    commit = said[1] if said else "unknown"
    found = {}
    for line in filter(_is_row, page.splitlines()):
        *start, result, seconds = (cell.strip(" |") for cell in line.split(" | "))
        if not seconds.isdigit() and seconds != "< 1":
            continue  # a head
        if result != "no test yet":
            result = result if " at " in result else f"{result} at {commit}"
            number = int(seconds) if seconds.isdigit() else 0
            found[start[0].partition(" ")[0]] = {"result": result, "seconds": number}
    return found


def merged(
    run: Mapping[str, Mapping[str, Any]], before: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """Return what is known of each case: of this run, or of an earlier one where this left it out.

    A case of a whole Airflow of which this run only tried the parts in one process was left out.
    """
    left_out = {
        name
        for name, said in run.items()
        if name in before and not said["is_proven"] and said["result"] != "failed"
    }
    return {**before, **{name: said for name, said in run.items() if name not in left_out}}


def kept(page: str) -> dict[str, Any]:
    """Return the run that a page is of, with its results as they stand."""
    header = re.search(r"^The run: (.*), commit (\w+), Python (.*)\.$", page, re.MULTILINE)
    if header is None:
        return {"ran_at": "", "commit": "unknown", "python": "unknown", "cases": {}}
    ran_at, commit, python = header.groups()
    suffix = f" at {commit}"
    cases = {
        name: {**case, "result": case["result"].removesuffix(suffix)}
        for name, case in earlier(page).items()
    }
    return {"ran_at": ran_at, "commit": commit, "python": python, "cases": cases}


def newest(page: str, last: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the run to show: the last one, or the page's own where there is none newer."""
    shown = kept(page)
    if last is None or last["ran_at"] <= shown["ran_at"]:
        return shown
    return {**last, "cases": merged(last["cases"], earlier(page))}


def collected() -> dict[str, list[str]]:
    """Return the ids of each case's tests, as the files have them now.

    Raises:
        SystemExit: when a test file cannot be imported.
    """
    configs: list[pytest.Config] = []

    class KeepConfig:
        def pytest_configure(self, config: pytest.Config) -> None:
            configs.append(config)

    code = pytest.main(["--collect-only", "-qq", "--no-header", "tests"], plugins=[KeepConfig()])
    if code != pytest.ExitCode.OK:
        sys.exit("the tests cannot be collected; see above")
    from tests.faults.plugin import TESTS  # pytest wants to be the first who imports it

    return configs[0].stash[TESTS]


def main() -> None:
    """Write the page."""
    last = json.loads(RUN.read_text()) if RUN.exists() else None
    PAGE.write_text(render(collected(), newest(PAGE.read_text(), last)))


if __name__ == "__main__":
    main()
