"""Rules about a delivery's columns and about several columns at once.

The header of a file may be its first row, when its producer left the header out. A name is
therefore only shown when the contract has it; any other column is named by its position.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pyarrow

from include.retraining.data.arrays import RowMask
from include.retraining.data.contract_checks import blocks
from include.retraining.data.violations import (
    ORDERED,
    PRESENT,
    UNIQUE_TOGETHER,
    Expectations,
    Violation,
    rows_breaking,
)

EXAMPLES = 5
# Missing names are compared with unknown ones only in headers short enough to read.
MAX_COMPARED = 10_000


def violated_columns(frame: pd.DataFrame, expected: Expectations) -> Iterator[Violation]:
    """Check that the columns that must be there are, others as far as the contract is strict."""
    wanted = expected.columns
    known = set(wanted) | set(expected.schema.columns)
    missing = [name for name in wanted if name not in frame.columns]
    unknown = {str(name): at for at, name in enumerate(frame.columns, start=1) if name not in known}
    hints = _renamed(missing, list(unknown), is_header=2 * len(missing) <= len(wanted))
    for name in missing:
        yield Violation(name, f"{PRESENT}{hints.get(name, '')}")
    if expected.schema.strict and unknown:
        yield Violation(None, _listed_by_position(list(unknown.values())))
    if expected.schema.ordered:
        yield from _violated_order(frame, expected)


def _renamed(missing: list[str], unknown: list[str], *, is_header: bool) -> dict[str, str]:
    """Return a hint for each missing column that seems to be there under another name."""
    if not is_header or len(missing) * len(unknown) > MAX_COMPARED:
        return {}
    plain = {_plain(name): name for name in unknown}
    near = {name: get_close_matches(_plain(name), plain, n=1, cutoff=0.75) for name in missing}
    return {
        name: f" (renamed to {plain[matches[0]]!r}?)" for name, matches in near.items() if matches
    }


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _listed_by_position(positions: list[int]) -> str:
    shown = ", ".join(f"{at:,}" for at in positions[:EXAMPLES])
    more = ", …" if len(positions) > EXAMPLES else ""
    if len(positions) == 1:
        return f"the contract does not know column {shown} of the file, and allows no others"
    return (
        f"the contract does not know {len(positions):,} columns of the file ({shown}{more}), and "
        "allows no others"
    )


def _violated_order(frame: pd.DataFrame, expected: Expectations) -> Iterator[Violation]:
    present = [name for name in frame.columns if name in expected.schema.columns]
    wanted = [name for name in expected.schema.columns if name in frame.columns]
    for after, (is_there, belongs) in enumerate(zip(present, wanted, strict=True)):
        if is_there != belongs:
            place = f"after {wanted[after - 1]!r}" if after else "first"
            yield Violation(belongs, f"columns {ORDERED}: it belongs {place}")
            return


def unique_sets(schema: pa.DataFrameSchema) -> list[list[str]]:
    """Return the sets of columns whose values must be unique together."""
    unique: Any = schema.unique or []
    if isinstance(unique, str):
        return [[unique]]
    if all(isinstance(name, str) for name in unique):
        return [list(unique)] if unique else []
    return [list(names) for names in unique]


def violated_uniqueness(frame: pd.DataFrame, expected: Expectations) -> Iterator[Violation]:
    """Check columns that are unique together only. Each row after the first of its kind counts."""
    for names in unique_sets(expected.schema):
        if set(names) <= set(frame.columns):
            repeated = frame.duplicated(subset=names).to_numpy()
            if repeated.any():
                rule = f"{' and '.join(names)}: {UNIQUE_TOGETHER}"
                yield rows_breaking(frame, expected, None, rule, repeated)


def nested_columns(frame: pd.DataFrame, expected: Expectations) -> list[str]:
    """Return the columns that something uses and that hold lists or records."""
    used = {*expected.used, *chain.from_iterable(unique_sets(expected.schema))}
    used |= {name for name, column in expected.schema.columns.items() if column.unique}
    return [name for name in frame.columns if name in used and _is_nested(frame[name])]


def _is_nested(values: pd.Series[Any]) -> bool:
    if isinstance(values.dtype, pd.ArrowDtype):
        return bool(pyarrow.types.is_nested(values.dtype.pyarrow_dtype))
    if values.dtype != object:
        return False
    first = values.first_valid_index()
    return first is not None and isinstance(values[first], list | tuple | dict | set | np.ndarray)


def columns_with_missing(frame: pd.DataFrame, names: Sequence[str]) -> Iterator[str]:
    """Yield those of some columns that are there and have a missing value."""
    present = [name for name in names if name in frame.columns]
    for some, dtype in _by_type(frame, present):
        if dtype.kind == "f":
            for part, cells in blocks(frame, some):
                missing = np.isnan(cells).any(axis=0)
                yield from (name for name, is_so in zip(part, missing, strict=True) if is_so)
        elif dtype.kind not in "iub":
            yield from (name for name in some if frame[name].hasnans)


def columns_with_infinite(frame: pd.DataFrame) -> Iterator[tuple[str, RowMask]]:
    """Yield the columns of numbers that have an infinite value, with the rows."""
    for some, dtype in _by_type(frame, list(frame.columns)):
        if dtype.kind == "f":
            for part, cells in blocks(frame, some):
                infinite = np.isinf(cells)
                for at in np.flatnonzero(infinite.any(axis=0)).tolist():
                    yield str(part[at]), infinite[:, at]
        elif dtype.kind == "O":  # of pandas: a type that knows missing values
            for name in some:
                if pd.api.types.is_float_dtype(frame[name].dtype):
                    infinite = np.isinf(frame[name].to_numpy(dtype=float, na_value=0.0))
                    if infinite.any():
                        yield str(name), infinite


def _by_type(
    frame: pd.DataFrame, names: Sequence[str]
) -> Iterator[tuple[list[str], np.dtype[Any]]]:
    """Yield the columns of each plain type together, and all others as objects."""
    by_dtype: dict[np.dtype[Any], list[str]] = {}
    dtypes = dict(zip(frame.columns, frame.dtypes, strict=True))
    for name in names:
        dtype = dtypes[name]
        plain = dtype if isinstance(dtype, np.dtype) else np.dtype(object)
        by_dtype.setdefault(plain, []).append(name)
    yield from ((columns, dtype) for dtype, columns in by_dtype.items())
