"""While `make run` starts, its user sees what it does."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from include.local_airflow.demo import activity as module
from include.local_airflow.demo.activity import activity


def test_each_change_is_a_line_where_nothing_is_drawn_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the seconds; what does not change is printed again after a while."""
    out = io.StringIO()
    with activity(Console(file=out)) as report:
        for doing in ("making the database", "making the database", "waiting for [it]"):
            report(doing)
        monkeypatch.setattr(module, "REPEAT_SECONDS", 0.0)
        report("waiting for [it]")
    lines = [re.sub(r"^ +\d+ s  ", "", line) for line in out.getvalue().splitlines()]
    assert lines == ["making the database", "waiting for [it]", "waiting for [it]"]


def test_a_terminal_shows_what_is_done_and_keeps_what_was_printed() -> None:
    """The line is gone at the end, and what was printed meanwhile is there."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80)
    with activity(console) as report:
        report("waiting for [it]")
        console.print("a message")
    assert "waiting for [it]" in out.getvalue()
    assert "a message" in out.getvalue()
