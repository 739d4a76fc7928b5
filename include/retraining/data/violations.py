"""What a delivery is checked against, and how a broken rule is reported.

A violation names the column, the rule, the number of rows and some of their keys, and never a value
of a cell: columns may be protected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from include.retraining.config.csv_dialect import MISSING_WORDS, NAME_MISSING
from include.retraining.config.model import ModelConfig, TimeSplit
from include.retraining.data.arrays import RowMask

EXAMPLES = 5
PRESENT = "must be there"
MATCHED = "a column must match this pattern"
SINGLE = "must hold single values, not lists or records"
DUPLICATE_COLUMN = "is there more than once"
NOT_NULL = "must not be missing"
UNIQUE = "must be unique"
UNIQUE_TOGETHER = "must be unique together"
ORDERED = "must be in the order of the contract"
FINITE = "must be finite"


@dataclass(frozen=True)
class Violation:
    """One rule that a delivery breaks."""

    column: str | None
    """None for a rule on the whole delivery."""
    rule: str
    rows: int | None = None
    """How many rows break it; None for a rule that is not about rows."""
    keys: tuple[str, ...] = ()
    """Keys of some of them."""
    hint: str = ""
    """What it often is, and what to do then."""

    def __str__(self) -> str:
        text = self.rule if self.column is None else f"{self.column}: {self.rule}"
        if self.rows is not None:
            text += f": {self.rows:,} row{'s' if self.rows != 1 else ''}"
        text += f", for example key {', '.join(self.keys)}" if self.keys else ""
        return f"{text}; {self.hint}" if self.hint else text


@dataclass(frozen=True)
class Expectations:
    """What a delivery is checked against, besides its own content."""

    config: ModelConfig
    schema: pa.DataFrameSchema
    features: tuple[str, ...]
    run_date: date
    """The date of the data."""
    earlier_rows: tuple[int, ...]
    """Rows of earlier accepted deliveries."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that must be there: those of the contract and those the YAML names."""
        promised = (
            name
            for name, column in self.schema.columns.items()
            if column.required and not column.regex
        )
        return tuple(dict.fromkeys((*self.used, *promised)))

    @property
    def used(self) -> tuple[str, ...]:
        """The columns that the model's code and its YAML name."""
        data, gates = self.config.data, self.config.gates
        named = [data.key, data.label, *self.features, *sorted(self.config.protected_columns)]
        named += [rule.column for rule in gates.slices]
        named += [data.freshness.column] if data.freshness else []
        named += [data.split.column] if isinstance(data.split, TimeSplit) else []
        return tuple(dict.fromkeys(named))


def rows_breaking(
    frame: pd.DataFrame, expected: Expectations, column: str | None, rule: str, failing: RowMask
) -> Violation:
    """Return the violation of a rule by some rows.

    Args:
        frame: the delivery.
        expected: what it is checked against.
        column: that the rule is about; None for a rule about several.
        rule: in words.
        failing: which rows break it.
    """
    key = expected.config.data.key
    keys: tuple[str, ...] = ()
    if key in frame.columns and key not in expected.config.protected_columns:
        first = np.flatnonzero(failing)[:EXAMPLES]
        keys = tuple(str(value)[:60] for value in frame[key].iloc[first].dropna())
    return Violation(column, rule, int(failing.sum()), keys)


def missing_hint(cells: pd.Series[Any]) -> str:
    """Return how words for a missing cell are named; empty where a cell holds anything else.

    Args:
        cells: those that break a rule.
    """
    are_words = all(
        isinstance(cell, str) and re.fullmatch(MISSING_WORDS, cell) for cell in cells.unique()
    )
    return f"in CSV, {NAME_MISSING}" if are_words else ""


def is_number(values: pd.Series[Any]) -> bool:
    """Return whether a column holds numbers."""
    return pd.api.types.is_numeric_dtype(values.dtype)
