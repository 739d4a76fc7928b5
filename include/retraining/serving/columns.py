"""The columns that a version reads, of the types that it was trained on."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pandera.engines.pandas_engine import Engine

from include.retraining.data.column_types import ColumnTypes, all_fitted, to_frame, type_name
from include.retraining.data.type_rules import EXACT, type_word
from include.retraining.exceptions import DataRejected
from include.retraining.registry.versions import VersionManifest
from include.retraining.training.feature_categories import Categories

MAX_NAMED = 10
ANYTHING = "object"
"""The type of cells of several types, such as truth values of which some are missing."""
_CELLS = "cells"
_KINDS: dict[str, tuple[type, ...]] = {
    r"(category\[)?str": (str,),
    "float": (int, float, np.number),
    "int|uint|Int|UInt": (int, np.integer),
    "bool": (bool, np.bool_),
}
"""By the beginning of a type's name, of what type its cells are as objects."""


def checked_features(frame: pd.DataFrame, manifest: VersionManifest) -> pd.DataFrame:
    """Return the columns that a version reads, in its order and of the types of its training.

    A column of another type is converted where no value changes by that. Of a version of before
    types were recorded, only the names are checked.

    Args:
        frame: the rows, with any other columns beside.
        manifest: the version's.

    Raises:
        DataRejected: naming each column that is wrong, what it is and what is allowed, or the
            columns that hold infinite numbers, which no version was trained on; never a cell.
    """
    where = f"{manifest.model} version {manifest.version}"
    if not isinstance(frame, pd.DataFrame):
        kind = type(frame).__name__
        raise DataRejected(f"{where}: rows are given as a pandas DataFrame, not as {kind}")
    names = list(manifest.features)
    wrong = _wrong_names(frame.columns, names)
    problems = [*wrong.values(), *(["there are no rows"] if len(frame) == 0 else [])]
    usable = [name for name in names if name not in wrong]
    rows = frame if list(frame.columns) == names else _selected(frame, tuple(usable))
    types = dict(zip(names, manifest.feature_types or [ANYTHING] * len(names), strict=True))
    categories = manifest.feature_categories or {}
    converted: dict[str, pd.Series[Any]] = {}
    for name, dtype in zip(usable, rows.dtypes.to_list(), strict=True):
        known, is_right = categories.get(name), types[name] in {type_name(dtype), ANYTHING}
        if is_right and known is None:
            continue
        column = rows[name] if is_right else _converted(rows[name], types[name])
        if column is None:
            problems.append(_wrong_type(rows[name], types[name]))
        else:
            converted[name] = column if known is None else _coded(column, known)
    rows = _with_columns(rows, converted)
    problems = problems or _infinite(rows)
    if problems:
        raise DataRejected(f"{where}: {_listed(problems)}")
    return rows


@lru_cache(maxsize=1000)
def dtype_of(name: str) -> Any:
    """Return the type of pandera that `type_name` names, or None where a name does not suffice.

    A category is of the type of its values.
    """
    if name == ANYTHING:
        return None
    category = re.fullmatch(r"category\[(.+)\]", name)
    try:
        return Engine.dtype(pd.api.types.pandas_dtype(category[1] if category else name))
    except (TypeError, NotImplementedError):  # a decimal: its name does not make it
        return None


def _selected(frame: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """Return some columns of a frame; half the time of `frame[[...]]`, asked of each request."""
    if not frame.columns.is_unique:
        return frame[list(names)]
    wanted = _index(names)
    rows = frame.take(frame.columns.get_indexer(wanted), axis=1)
    rows.columns = wanted
    return rows


@lru_cache(maxsize=100)
def _index(names: tuple[str, ...]) -> pd.Index[str]:
    return pd.Index(names)


def _wrong_names(present: pd.Index[Any], names: list[str]) -> dict[str, str]:
    """Return what is wrong with the columns that are missing or there twice, by their name."""
    wrong = {name: f"column {name!r} is missing" for name in names if name not in present}
    if not present.is_unique:
        twice = set(present[present.duplicated()]) & set(names)
        wrong |= {name: f"column {name!r} is there more than once" for name in sorted(twice)}
    return wrong


def _converted(cells: pd.Series[Any], wanted: str) -> pd.Series[Any] | None:
    """Return a column as the type of that name, or None where it cannot be without loss."""
    if wanted == "float64" and cells.dtype == np.int64:  # as below, but faster: JSON has 1 for 1.0
        numbers = cells.to_numpy()
        is_exact = ((numbers >= -EXACT) & (numbers <= EXACT)).all()
        return cells.astype(np.float64) if is_exact else None
    dtype = dtype_of(wanted)
    if dtype is None:
        return None
    if isinstance(cells.dtype, pd.CategoricalDtype):
        with suppress(ValueError):  # whole numbers of which some are missing
            cells = cells.astype(cells.cat.categories.dtype)
    elif re.match("U?Int", wanted) and cells.dtype == "float64" and cells.hasnans:
        with suppress(TypeError):  # a number that is not whole
            cells = cells.astype("Int64")  # as pandas alone makes floats of whole numbers
    try:
        table = pa.table({_CELLS: pa.array(cells, from_pandas=True)})
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return None  # cells of several types
    types = ColumnTypes({_CELLS: dtype})
    column = to_frame(all_fitted(table, types), types)[_CELLS]
    column.index = cells.index
    if wanted.startswith("category["):
        column = column.astype("category")
    return column if _is_same(column.dtype, wanted) else None


def _coded(cells: pd.Series[Any], known: Categories) -> pd.Series[Any]:
    """Return categories with the codes of the training; values that it had not come after them."""
    values = pd.Index(known.values, dtype=cells.cat.categories.dtype)
    others = cells.cat.categories.difference(values)
    return cells.astype(pd.CategoricalDtype(values.append(others), known.ordered))


def _with_columns(rows: pd.DataFrame, converted: dict[str, pd.Series[Any]]) -> pd.DataFrame:
    """Return rows with some columns replaced; the rows given stay as they are."""
    if not converted:
        return rows
    replaced = rows.copy(deep=False)
    for name, column in converted.items():  # `assign` takes no column of the name `self`
        replaced[name] = column
    return replaced


def _is_same(dtype: Any, wanted: str) -> bool:
    """Return whether a type is the wanted one; times may have any unit that holds them."""
    name = type_name(dtype)
    units = r"^datetime64\[(s|ms|us|ns)"
    return re.sub(units, "datetime64[", name) == re.sub(units, "datetime64[", wanted)


def _wrong_type(cells: pd.Series[Any], wanted: str) -> str:
    actual, word = type_name(cells.dtype), type_word(wanted)
    missing = np.flatnonzero(cells.isna())
    if len(missing) and re.match("int|uint|bool$", wanted):
        return (
            f"column {str(cells.name)!r} has no value in {len(missing):,} of {len(cells):,} rows, "
            f"the first in row {missing[0] + 1:,}: allowed is {word}, without missing cells"
        )
    return (
        f"column {str(cells.name)!r} is of type {type_word(actual)}, allowed is {word} or what "
        f"becomes it without a loss{_others(cells, wanted)}"
    )


def _others(cells: pd.Series[Any], wanted: str) -> str:
    """Return how many cells of several types are of another one, or how to convert to bool."""
    if wanted == "bool" and cells.dtype != object:
        return ": convert it first, 0 and 1 or words are no bool"
    kinds = next((kinds for word, kinds in _KINDS.items() if re.match(word, wanted)), None)
    if cells.dtype != object or kinds is None:
        return ""
    given = cells.dropna()
    wrong = [
        not isinstance(cell, kinds) or (isinstance(cell, bool) and bool not in kinds)
        for cell in given
    ]
    if not any(wrong):
        return ""
    first = cells.notna().to_numpy().nonzero()[0][wrong.index(True)] + 1
    count = f"{sum(wrong):,} of {len(cells):,}"
    return f": cells that are no {type_word(wanted)}: {count}, the first in row {first:,}"


def _infinite(rows: pd.DataFrame) -> list[str]:
    """Return which columns hold infinite numbers; asked of each request, so all at once at first.

    The contract refuses them in every delivery.
    """
    kinds = {dtype.kind for dtype in rows.dtypes.to_list()}
    numbers = rows if kinds == {"f"} else rows.select_dtypes("float")  # faster than by name
    cells = np.isinf(numbers.to_numpy(dtype=np.float64, na_value=np.nan))
    if not cells.any():
        return []
    return [
        f"column {name!r} is infinite in {column.sum():,} of {len(rows):,} rows, the first in row "
        f"{column.argmax() + 1:,}: allowed are finite numbers"
        for name, column in zip(numbers.columns, cells.T, strict=True)
        if column.any()
    ]


def _listed(problems: list[str]) -> str:
    shown = problems[:MAX_NAMED]
    others = len(problems) - len(shown)
    return "; ".join([*shown, *([f"and {others:,} more"] if others else [])])
