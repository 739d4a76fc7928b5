"""Columns that say with 0/1 or true/false whether a row belongs to a group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from include.retraining.data.arrays import Numbers

RULE = (
    "is a one_hot column of a protected attribute and must hold 0 or 1, true or false; another "
    'value is named under labels, like {"yes": "true", "no": "false"}'
)
_MEANING = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0}


def membership(column: pd.Series[Any], labels: Mapping[str, str]) -> Numbers:
    """Return for each row 1 where the column is set, 0 where it is not, NaN where it is missing.

    Args:
        column: as delivered.
        labels: of the attribute: a value whose word is `true` or `false` means that.

    Returns:
        -1 for a value that means neither.
    """
    codes, values = pd.factorize(column)
    meanings = [_meaning(value_word(value), labels) for value in values]
    return np.array([*meanings, np.nan])[codes]  # a missing value has the code -1


def value_word(value: Any) -> str:
    """Return a value as a word: `1` for 1.0 and True."""
    if isinstance(value, (bool, np.bool_)) or (
        isinstance(value, (float, np.floating)) and float(value).is_integer()
    ):
        return str(int(value))
    return str(value)


def _meaning(word: str, labels: Mapping[str, str]) -> float:
    return _MEANING.get(labels.get(word, word).lower(), -1.0)
