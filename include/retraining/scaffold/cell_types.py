"""What the cells of a CSV column have in common: whole numbers, numbers, truth values, moments."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from include.retraining.config.csv_dialect import MISSING_WORDS
from include.retraining.data.csv_file import NO, YES

# A number that begins with a zero is a name: a post code, an id.
WHOLE = r"^-?(0|[1-9][0-9]*)$"
NUMBER = r"^-?(((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|(?i:inf(inity)?))$"
MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?Z?)?$"
SEEMS = {
    r"^[0-9]{1,2}[./-][0-9]{1,2}[./-]([0-9]{4}|[0-9]{2})([T ].*)?$": (
        "looks like dates that are not ISO 8601: write them like 2026-01-31"
    ),
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*[+-][0-9]{2}:?[0-9]{2}$": (
        "looks like times with an offset: write them in UTC, like 2026-01-31T12:00:00Z"
    ),
    r"^-?(0|[1-9][0-9]{0,2}([.,' ][0-9]{3})*)([.,][0-9]+)?$": (
        "looks like numbers with a sign between thousands: write them without it"
    ),
}
"""What cells of text may be instead, and how they are written to be read as that."""
TRUTH = [word for word in (*YES, *NO) if word.isalpha()]


def converted(column: pa.ChunkedArray, decimal: str) -> pa.ChunkedArray:
    """Return a column of text as the narrowest type that all its cells have, or as it is.

    Args:
        column: of text.
        decimal: the decimal sign of its numbers.
    """
    cells = pc.utf8_trim_whitespace(column)
    if cells.null_count == len(cells):
        return column
    numbers = pc.replace_substring(cells, decimal, ".") if decimal != "." else cells
    tries: list[tuple[str, Any, pa.DataType]] = [
        (WHOLE, cells, pa.int64()),
        (NUMBER, numbers, pa.float64()),
        (MOMENT, pc.replace_substring_regex(cells, "Z$", ""), pa.timestamp("us")),
    ]
    for pattern, texts, kind in tries:
        if _all_match(cells if pattern != NUMBER else numbers, pattern):
            try:
                return texts.cast(kind)
            except pa.ArrowInvalid:  # too many digits, no such day
                continue
    if pc.all(pc.is_in(cells, value_set=pa.array(TRUTH)).filter(pc.is_valid(cells))).as_py():
        return pc.utf8_lower(cells).cast(pa.bool_())
    return column


def what_it_seems(column: pa.ChunkedArray) -> str | None:
    """Return what the cells of a column of text look like, where they are written another way."""
    cells = pc.utf8_trim_whitespace(column).drop_null()
    if len(cells) == 0:
        return None
    if _all_match(cells, NUMBER):  # of a file that has types, which knows why it is text
        return None
    return next((words for pattern, words in SEEMS.items() if _all_match(cells, pattern)), None)


def missing_words(table: pa.Table, decimal: str) -> tuple[str, ...]:
    """Return the words that stand for a missing cell: in columns that else are no text.

    Args:
        table: of text.
        decimal: the decimal sign of its numbers.
    """
    words: set[str] = set()
    for column in table.columns:
        is_word = pc.match_substring_regex(column, f"^{MISSING_WORDS}$")
        if not pc.any(is_word).as_py():
            continue
        others = column.filter(pc.invert(is_word)).drop_null()
        if len(others) and not pa.types.is_string(converted(others, decimal).type):
            words |= set(pc.unique(column.filter(is_word)).to_pylist())
    return tuple(sorted(words))


def without_words(column: pa.ChunkedArray, words: tuple[str, ...]) -> pa.ChunkedArray:
    """Return a column in which some words are missing cells."""
    if not words:
        return column
    is_word = pc.is_in(column, value_set=pa.array(words, pa.string()))
    return pc.if_else(is_word, pa.scalar(None, pa.string()), column)


def _all_match(cells: pa.ChunkedArray, pattern: str) -> bool:
    return pc.all(pc.match_substring_regex(cells, pattern)).as_py() is True
