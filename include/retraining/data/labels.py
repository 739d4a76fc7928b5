"""Labels and classes in the one form that every step compares them in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from include.retraining.data.arrays import Column, Labels, RowMask

Class = int | str


def label_values(labels: pd.Series[Any], problem: str) -> Labels:
    """Return a label column as an array: numbers for a regression, whole numbers or words else.

    A class that is `1`, `1.0`, `True` or the text "1" is 1, so that two deliveries of one file
    agree. Where one class is a word, all are: an estimator cannot sort both.
    """
    values = labels.to_numpy()
    if problem == "regression":
        return values.astype(np.float64, copy=False)
    return whole_or_words(values)


def whole_or_words(values: Column) -> Labels:
    """Return values as whole numbers where all of them are, as words where one is none."""
    if values.dtype.kind in "bu":
        return values.astype(np.int64)
    if values.dtype.kind == "i":
        return values
    codes, different = pd.factorize(values, use_na_sentinel=False)
    classes = class_names(different)
    if all(isinstance(name, int) for name in classes):
        try:
            return np.array(classes, dtype=np.int64)[codes]
        except OverflowError:  # more digits than a number holds
            pass
    return np.array([str(name) for name in classes], dtype=object)[codes]


def class_names(classes: Iterable[Any]) -> tuple[Class, ...]:
    """Return classes in their canonical form: plain whole numbers and words.

    Two classes are one when their canonical forms are equal: `1`, `1.0`, `True` and "1" are; "01"
    is a word of its own.
    """
    return tuple(_class_name(value) for value in classes)


def _class_name(value: Any) -> Class:
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating, Decimal)) and float(value).is_integer():
        return int(value)
    text = str(value)
    return int(text) if re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text) else text


def is_class(values: Labels, name: Class | None) -> RowMask:
    """Return which of some classes equal the named one, whether as text or as a number."""
    codes, different = pd.factorize(values, use_na_sentinel=False)
    (wanted,) = class_names([name])
    return np.array([one == wanted for one in class_names(different)], dtype=bool)[codes]
