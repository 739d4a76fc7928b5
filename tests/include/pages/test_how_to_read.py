"""Each chart and table says how it is read, and what it does not prove."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from include.pages import rendering
from include.retraining.gate.how_to_read import HOW_TO_READ
from tests.docs.markdown_files import ROOT

TEMPLATES = sorted((rendering.HERE / "templates").glob("*.html"))
CARD = ROOT / "include/retraining/model_card/card.md.jinja"
PLOTS = ROOT / "include/retraining/model_card/plots.py"


@pytest.mark.parametrize("page", TEMPLATES, ids=lambda page: page.stem)
def test_each_table_of_a_page_is_followed_by_its_line(page: Path):
    """Between a table and the next one stands a line; the numbers of a chart share the chart's."""
    text = page.read_text()
    text = re.sub(r"<details.*?</details>", "", text, flags=re.DOTALL)
    tables = text.count("<table")
    parts = text.split("<table")[1:]
    assert all(re.search(r"\bread\(\"\w+\"\)", part) for part in parts), f"{tables} tables"


def test_each_table_of_a_card_is_followed_by_its_line():
    """Each table that is filled in has the line of its own below it, that of groups above them."""
    text = CARD.read_text()
    for table in ("gates", "scores", "importance_table", "slices", "moved", "files", "making"):
        assert re.search(rf"{{{{ {table} }}}}\n\n{{{{ how_to_read\.\w+ }}}}", text), table
    assert "## Fairness\n\n{{ how_to_read.fairness }}" in text


def test_no_line_is_without_its_chart_or_table():
    """Each line is used, and has a part on what is not proved."""
    pages = " ".join(page.read_text() for page in TEMPLATES)
    used = {
        *re.findall(r"read\(\"(\w+)\"\)", pages),
        *re.findall(r"how_to_read\.(\w+)", CARD.read_text()),
        *re.findall(r"HOW_TO_READ\[\"(\w+)\"\]", PLOTS.read_text()),
    }
    assert used == set(HOW_TO_READ)
    for name, line in HOW_TO_READ.items():
        assert re.search(r"\b(not?|cannot|chance)\b", line), name
        assert len(line) < 260, name
