"""The page on the architecture keeps up with the code it describes."""

from __future__ import annotations

import re

from include.retraining.store import layout
from tests.docs.markdown_files import ROOT, spans

PAGE = ROOT / "docs" / "architecture.md"


def test_the_store_is_laid_out_as_the_code_says() -> None:
    """The list of keys and what is said of runs are the code's own words."""
    assert layout.__doc__ is not None
    _, keys, runs = layout.__doc__.strip().split("\n\n")
    text = PAGE.read_text(encoding="utf-8")
    assert f"```text\n{keys}\n```\n\n{runs}\n" in text


def test_every_file_it_sends_a_reader_to_is_there() -> None:
    """Files are named without their folder, which the heading names."""
    there = {file.name for file in (ROOT / "include").rglob("*.py")}
    named = {span for span in spans(PAGE) if re.fullmatch(r"[a-z_]+\.py", span)}
    assert len(named) >= 40
    assert named - there == set()
