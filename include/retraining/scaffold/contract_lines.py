"""The lines of a contract class: a column each, or one for all columns of a family.

A guessed range is twice as wide as what the sample shows, rounded, so that it neither refuses the
next delivery for a small change nor shows whose value was the greatest.
"""

from __future__ import annotations

import json
import keyword
import math
import re
from collections.abc import Iterable, Sequence

import pandera.pandas as pa

from include.retraining.scaffold.columns import Column
from include.retraining.scaffold.families import Family

MARK = "  # CHECK"
WIDTH = 100
MIN_ROWS_PER_WORD = 10
"""A list of words is guessed where each stands in so many rows on average."""
_USED = frozenset({"int", "float", "str", "bool", "pa", "pd"})
"""Names that the lines themselves use: an attribute would hide them."""
_TYPES = {
    "whole": "int",
    "number": "float",
    "truth": "bool",
    "text": "str",
    "moment": "pd.Timestamp",
}


def quoted(text: str) -> str:
    """Return a text as Python and YAML both write it, between double quotes."""
    return json.dumps(text, ensure_ascii=False)


def column_line(column: Column, *, is_key: bool = False, is_audited: bool = False) -> str:
    """Return what a contract says of one column.

    Args:
        column: as the sample shows it.
        is_key: whether it names a row.
        is_audited: whether it is protected: then no word of it is listed.
    """
    if is_key:
        return _line(column.name, _type_of(column), ["unique=True"])
    rules = _rules([column], lists_words=not is_audited)
    if column.missing and column.kind != "other":
        rules.append("nullable=True")
    return _line(column.name, _type_of(column), rules)


def family_line(family: Family) -> str:
    """Return what a contract says of all columns of a family, by their pattern."""
    name = re.sub(r"[^a-z0-9]+", "_", family.prefix.lower()).strip("_")
    rules = [f"alias={quoted(family.pattern)}", "regex=True", *_rules(family.alike)]
    if any(column.missing for column in family.alike):
        rules.append("nullable=True")
    kinds = {_type_of(column) for column in family.alike}
    kind = kinds.pop() if len(kinds) == 1 else "float"
    return _written(f"{name}_columns", kind, rules)


def _type_of(column: Column) -> str:
    # A whole number with gaps is a float, which has a value for them.
    return "float" if column.kind == "whole" and column.missing else _TYPES[column.kind]


def _rules(columns: Sequence[Column], *, lists_words: bool = True) -> list[str]:
    """Return the ranges or values that all of some columns keep."""
    first = columns[0]
    if first.is_numeric:
        if len(columns) == 1 and len(first.values) == 2:
            return [f"isin=[{', '.join(_number(value, first) for value in first.values)}]"]
        return _range(columns)
    is_listed = lists_words and 0 < len(first.values) <= first.rows / MIN_ROWS_PER_WORD
    if first.kind == "text" and is_listed:
        words = f"isin=[{', '.join(map(quoted, first.values))}]"
        return [words] if len(words) < WIDTH - 60 else []
    return []


def _range(columns: Sequence[Column]) -> list[str]:
    smallest = min((one.smallest for one in columns if one.smallest is not None), default=None)
    largest = max((one.largest for one in columns if one.largest is not None), default=None)
    if smallest is None or largest is None:
        return []
    if not (math.isfinite(2.0 * smallest) and math.isfinite(2.0 * largest)):
        return []
    is_whole = all(one.kind == "whole" for one in columns)
    lower = "0" if smallest >= 0 else f"-{_round(-2 * smallest, is_whole=is_whole)}"
    upper = "0" if largest <= 0 else _round(2 * largest, is_whole=is_whole)
    return [f"ge={lower}"] + ([f"le={upper}"] if lower != upper else [])


def _round(value: float, *, is_whole: bool) -> str:
    """Return the next number above a positive one that begins with 1, 2 or 5."""
    power = 10.0 ** math.floor(math.log10(value))
    step = next(step for step in (1, 2, 5, 10) if step * power >= value)
    rounded = step * power
    if is_whole or rounded >= 1:
        return f"{round(rounded):_}" if rounded < 1e15 else repr(rounded)
    return f"{rounded:.12g}"


def _number(value: float, column: Column) -> str:
    return str(int(value)) if column.kind == "whole" or float(value).is_integer() else repr(value)


def _line(name: str, kind: str, rules: list[str]) -> str:
    if is_plain(name):
        return _written(name, kind, rules)
    attribute = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "column"
    attribute = attribute if attribute[0].isalpha() else f"column_{attribute}"
    attribute = attribute if is_plain(attribute) else f"{attribute}_"
    return _written(attribute, kind, [f"alias={quoted(name)}", *rules])


def is_plain(name: str) -> bool:
    """Return whether a column's name can be that of an attribute of a contract class."""
    is_word = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) is not None
    is_taken = keyword.iskeyword(name) or name in _USED or hasattr(pa.DataFrameModel, name)
    return is_word and not is_taken


def _written(attribute: str, kind: str, rules: Iterable[str]) -> str:
    """Return a line, wrapped as the formatter wraps it, and marked where it holds a guess."""
    rules = list(rules)
    mark = MARK if any(rule.startswith(("ge=", "le=", "isin=")) for rule in rules) else ""
    if not rules:
        return f"{attribute}: {kind}"
    line = f"{attribute}: {kind} = pa.Field({', '.join(rules)}){mark}"
    if len(line) <= WIDTH - 4:
        return line
    return f"{attribute}: {kind} = pa.Field(\n        {', '.join(rules)}\n    ){mark}"


def unique_attributes(lines: Iterable[str]) -> list[str]:
    """Return lines whose attributes differ: columns may differ in a sign or in case only."""
    taken: set[str] = set()
    result = []
    for line in lines:
        attribute, colon, rest = line.partition(":")
        while attribute in taken:
            attribute += "_"
        taken.add(attribute)
        result.append(f"{attribute}{colon}{rest}")
    return result
