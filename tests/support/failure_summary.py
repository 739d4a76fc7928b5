"""A run that fails ends with one line for each test that failed, however much they printed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

TESTS_SHOWN = 12
"""Of more failed tests, the first ones: what failed stands in the last 20 lines."""
CHARACTERS_SHOWN = 180


def first_line(report: Any) -> str:
    """Return the first line of what a report says went wrong."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else str(report.longrepr)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0 if crash else -1] if lines else "failed"


def line_of(report: Any) -> str:
    """Return a failed test, its phase if it is not the call, and the reason, in one line."""
    phase = "" if report.when == "call" else f" ({report.when})"
    reason = first_line(report)
    if len(reason) > CHARACTERS_SHOWN:
        reason = f"{reason[:CHARACTERS_SHOWN]}…"
    return f"FAILED {report.nodeid}{phase}: {reason}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Iterator[None]:
    """Write the lines below everything else."""
    yield
    stats = terminalreporter.stats
    failed = [*stats.get("error", ()), *stats.get("failed", ())]
    if not failed:
        return
    terminalreporter.section("what failed", red=True)
    for report in failed[:TESTS_SHOWN]:
        terminalreporter.write_line(line_of(report))
    if (more := len(failed) - TESTS_SHOWN) and more > 0:
        terminalreporter.write_line(f"and {more} more")
