"""CSV that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from include.retraining.cli.safe_csv import csv_text

CELLS = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",))) | st.text(
    "=+-@ \t\r\n\",'\uff1d", max_size=5
)


@given(value=CELLS)
def test_no_text_is_a_formula(value: str) -> None:
    """Whatever text comes in, it comes out whole, and no cell begins as a formula does."""
    text = csv_text(["a", "b"], [{"a": value, "b": "x"}])
    header, row = csv.reader(io.StringIO(text, newline=""))
    assert header == ["a", "b"]
    assert row[1] == "x"
    assert row[0] in {value, f"'{value}"}
    assert not row[0].lstrip(" ").startswith(tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"))


def test_numbers_and_nothing() -> None:
    """A negative number stays one, and None is an empty cell."""
    rows: list[dict[str, Any]] = [{"a": -0.5, "b": None}]
    assert csv_text(["a", "b"], rows) == '"a","b"\n-0.5,""'
