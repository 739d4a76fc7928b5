"""Which columns of a delivery a contract declares: by their name, or by a pattern they match."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable

import pandera.pandas as pa


def declared_columns(schema: pa.DataFrameSchema, present: Iterable[str]) -> dict[str, pa.Column]:
    """Return what a contract declares of each column, by its name.

    A pattern (`Field(regex=True)`) stands for the columns that match it, as in pandera from the
    beginning of their names on; without a match for none. What several declare of one column holds
    together; the type is the first one's, and a name comes before a pattern.

    Args:
        schema: the contract's.
        present: the columns of the delivery.
    """
    declared = {
        name: _typed(column, schema) for name, column in schema.columns.items() if not column.regex
    }
    names = [str(name) for name in present]
    for pattern, column in schema.columns.items():
        if column.regex:
            typed, matches = _typed(column, schema), re.compile(pattern).match
            for name in filter(matches, names):
                declared[name] = (
                    _both(declared[name], typed) if name in declared else _named(typed, name)
                )
    return declared


def is_declared(schema: pa.DataFrameSchema, name: str) -> bool:
    """Return whether a contract declares a column, by name or by pattern."""
    named = schema.columns.get(name)
    if named is not None and not named.regex:
        return True  # without going through thousands of others for each of thousands
    return any(
        column.regex and re.match(declared, name) is not None
        for declared, column in schema.columns.items()
    )


def unmatched_patterns(schema: pa.DataFrameSchema, present: Iterable[str]) -> list[str]:
    """Return the patterns of required columns that no column matches."""
    names = [str(name) for name in present]
    return [
        pattern
        for pattern, column in schema.columns.items()
        if column.regex and column.required and not any(map(re.compile(pattern).match, names))
    ]


def _typed(column: pa.Column, schema: pa.DataFrameSchema) -> pa.Column:
    """Return a column with the type that the contract gives to all columns, where it does."""
    if schema.dtype is None:
        return column
    typed = copy.copy(column)
    typed.dtype = schema.dtype
    return typed


def _named(column: pa.Column, name: str) -> pa.Column:
    named = copy.copy(column)
    named.name, named.regex = name, False
    return named


def _both(first: pa.Column, second: pa.Column) -> pa.Column:
    both = copy.copy(first)
    both.dtype = first.dtype or second.dtype
    both.checks = [*first.checks, *second.checks]
    both.nullable = first.nullable and second.nullable
    both.unique = first.unique or second.unique
    return both
