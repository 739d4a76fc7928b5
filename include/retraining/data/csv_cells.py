"""Which cells of a CSV file are not of their column's type, and which setting would read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.retraining.config.csv_dialect import MISSING_WORDS, NAME_MISSING
from include.retraining.data.type_rules import type_word


@dataclass(frozen=True)
class BadCells:
    """The cells of one column that break a rule."""

    column: str
    rule: str
    rows: int
    first: int
    """The first of them, counted from 0 after the header."""


def bad_cells(column: str, rule: str, is_bad: pa.ChunkedArray) -> BadCells:
    """Return which cells of a column break a rule; a missing cell breaks none."""
    mask = is_bad.fill_null(False).to_numpy()
    (rows,) = np.nonzero(mask)
    return BadCells(column, rule, len(rows), int(rows[0]))


def cells_of_other_types(
    texts: pa.Table, types: Mapping[str, pa.DataType], decimal: str
) -> list[BadCells]:
    """Return the cells that are not of their column's type, for each column that has some.

    Args:
        texts: the cells of a file, all of them as text.
        types: the types that the columns were to be parsed as.
        decimal: the decimal sign.
    """
    bad = []
    for name, wanted in types.items():
        if pa.types.is_string(wanted):
            continue
        cells = texts.column(name)
        is_bad = _not_of(cells, wanted, decimal)
        if pc.any(is_bad).as_py():
            rule = f"not of type {_word(wanted)}{_hint(cells.filter(is_bad), decimal)}"
            bad.append(bad_cells(name, rule, is_bad))
    return bad


def _word(wanted: pa.DataType) -> str:
    names = {"double": "float64", "float": "float32", "halffloat": "float16"}
    return type_word(names.get(str(wanted), str(wanted)))


def _not_of(cells: pa.ChunkedArray, wanted: pa.DataType, decimal: str) -> pa.ChunkedArray:
    """Return which cells the parser would not take for the type."""
    types, trimmed = pa.types, pc.utf8_trim_whitespace(cells)
    if types.is_boolean(wanted):
        pattern = "^(True|true|TRUE|1|False|false|FALSE|0)$"
        trimmed = cells
    elif types.is_integer(wanted):
        limits = np.iinfo(wanted.to_pandas_dtype())
        fits = pa.array([
            text is None
            or not re.fullmatch("-?[0-9]{1,40}", text)
            or limits.min <= int(text) <= limits.max
            for text in (value.as_py() for value in pc.unique(trimmed))
        ])
        beyond = pc.unique(trimmed).filter(pc.invert(fits))
        is_word = pc.invert(pc.match_substring_regex(trimmed, "^(-?[0-9]+|0[xX][0-9a-fA-F]+)$"))
        return pc.or_(is_word, pc.is_in(trimmed, value_set=beyond))
    else:
        sign = re.escape(decimal)
        exponent = "" if types.is_decimal(wanted) else "([eE][+-]?[0-9]+)?"
        pattern = rf"^([+-]?([0-9]+({sign}[0-9]*)?|{sign}[0-9]+){exponent}|[+-]?(?i:inf(inity)?))$"
    return pc.invert(pc.match_substring_regex(trimmed, pattern))


def _hint(bad: pa.ChunkedArray, decimal: str) -> str:
    """Return which setting would read most of the cells, as the end of a sentence."""
    other = "," if decimal == "." else "."
    looks = {
        rf"^-?[0-9]+\{other}[0-9]+$": f"; decimals look written with {other!r}: set "
        "data.csv.decimal",
        f"^{MISSING_WORDS}$": f"; {NAME_MISSING}",
        r"^-?[0-9]+\.0*$": "; they are written with a decimal point, as pandas does where cells "
        "are missing: have the producer write whole numbers (Int64), or declare float",
    }
    for pattern, hint in looks.items():
        if pc.mean(pc.match_substring_regex(bad, pattern).cast(pa.int8())).as_py() > 0.5:
            return hint
    return ""
