"""Whether a column is of the type that the contract declares, and what to say where it is not."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
from pandera.engines.pandas_engine import Engine

# As an author writes them in a contract.
WORDS = {
    "string[pyarrow]": "str",
    "int64": "int",
    "float64": "float",
    "datetime64[ns]": "pd.Timestamp",
    "Int64": "pd.Int64Dtype",
    "Float64": "pd.Float64Dtype",
    "boolean": "pd.BooleanDtype",
}
EXACT = 2**53
"""Up to this, a double holds every whole number."""


def wrong_types(frame: pd.DataFrame, schema: pandera.DataFrameSchema) -> list[str]:
    """Return the columns whose type is not the declared one, nor fits into it without loss."""
    wrong = []
    for name, column in schema.columns.items():
        if column.dtype is None or name not in frame.columns:
            continue
        values = frame[name]
        accepted = column.dtype.check(Engine.dtype(values.dtype), values)
        if not np.all(accepted) and not _fits(values, column):
            wrong.append(name)
    return wrong


def _fits(values: pd.Series[Any], column: Any) -> bool:
    """Return whether a difference in type says nothing of the values."""
    declared = str(column.dtype)
    if declared.startswith("float"):
        return pd.api.types.is_integer_dtype(values.dtype) and (
            values.empty or bool(values.between(-EXACT, EXACT).all())
        )
    if declared == "object":  # as text was before pandas had a type for it
        return isinstance(values.dtype, pd.StringDtype)
    if declared == "datetime64[ns]":  # times have any unit that can hold them
        return isinstance(values.dtype, np.dtype) and values.dtype.kind == "M"
    if declared.startswith(("int", "uint")) and not column.nullable:
        return _is_whole_but_missing(values)  # reported as missing
    return False


def _is_whole_but_missing(values: pd.Series[Any]) -> bool:
    if not isinstance(values.dtype, np.dtype) or values.dtype.kind != "f" or not values.hasnans:
        return False
    there = values.dropna()
    return bool(np.isfinite(there).all() and (there % 1 == 0).all())


def type_rule(declared: Any, values: pd.Series[Any]) -> str:
    """Return in words what a column must be, and what it is."""
    arrow = _arrow(values)
    actual = str(values.dtype) if arrow is None else re.sub(r"\d+(?=\()", "", str(arrow))
    return f"must be of type {type_word(declared)}, is {actual}"


def type_hint(declared: Any, values: pd.Series[Any]) -> str:
    """Return what could be done about a column of another type, to be put behind the rule."""
    arrow, dtype = _arrow(values), str(values.dtype)
    if arrow is not None and pa.types.is_decimal(arrow):
        return ": declare a decimal, or have the producer write a double"
    if type_word(declared).startswith("int") and _is_whole_but_missing(values):
        return " because cells are missing: declare pd.Int64Dtype or float"
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return ": declare a pd.DatetimeTZDtype where that is right"
    if dtype in WORDS or dtype in {"bool", "str"} or dtype.startswith(("int", "uint", "float")):
        return f": declare {type_word(dtype)} where that is right"
    return ""


def _arrow(values: pd.Series[Any]) -> pa.DataType | None:
    """Return the type of a column that pandas has no type for."""
    return values.dtype.pyarrow_dtype if isinstance(values.dtype, pd.ArrowDtype) else None


def type_word(declared: Any) -> str:
    """Return a declared type as its author wrote it."""
    return WORDS.get(str(declared), str(declared))
