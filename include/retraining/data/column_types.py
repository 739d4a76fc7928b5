"""What the types of a contract mean for a file: what a column is read as, and what fits.

A column becomes the declared type where nothing can be lost by that, whichever format it came in;
any other stays what it is, and the contract says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
from pandera.engines.pandas_engine import Date, Decimal


@dataclass(frozen=True)
class ColumnTypes:
    """The types that a contract gives to columns, by name or by a pattern of names."""

    by_name: Mapping[str, Any]
    """Types of pandera; None where the contract says `Any`."""
    by_pattern: tuple[tuple[re.Pattern[str], Any], ...] = ()

    def of(self, name: str) -> Any:
        """Return the declared type of a column, or None."""
        if self.by_name.get(name) is not None:
            return self.by_name[name]
        return next((dtype for pattern, dtype in self.by_pattern if pattern.match(name)), None)

    def declares(self, name: str) -> bool:
        """Return whether the contract knows a column at all."""
        return name in self.by_name or any(pattern.match(name) for pattern, _ in self.by_pattern)


def declared_types(schema: pandera.DataFrameSchema) -> ColumnTypes:
    """Return the types of a contract's columns."""
    columns = schema.columns.items()
    types = {name: schema.dtype or column.dtype for name, column in columns}
    return ColumnTypes(
        {name: types[name] for name, column in columns if not column.regex},
        tuple((re.compile(name), types[name]) for name, column in columns if column.regex),
    )


def type_name(dtype: Any) -> str:
    """Return the name of a type of pandas; of a category, with the type of its values."""
    if isinstance(dtype, pd.CategoricalDtype) and dtype.categories is not None:
        return f"category[{dtype.categories.dtype}]"
    return str(dtype)


def arrow_type(dtype: Any) -> pa.DataType | None:
    """Return what a column of a declared type is in Arrow; None for one that stays as it comes."""
    match dtype:
        case None:
            return None
        case Decimal():
            return pa.decimal128(dtype.precision, dtype.scale)
        case Date():
            return pa.date32()
    return _of_pandas(dtype.type)


def _of_pandas(kind: Any) -> pa.DataType | None:
    equivalent = None
    match kind:
        case pd.StringDtype():
            equivalent = pa.string()
        case pd.ArrowDtype():
            equivalent = kind.pyarrow_dtype
        case pd.DatetimeTZDtype():
            equivalent = pa.timestamp(kind.unit, str(kind.tz))
        case pd.CategoricalDtype():
            known = pa.array([] if kind.categories is None else kind.categories).type
            equivalent = pa.string() if pa.types.is_null(known) or is_text(known) else known
        case _:
            plain = getattr(kind, "numpy_dtype", kind)
            if isinstance(plain, np.dtype) and plain.kind in "iufbMm":
                with suppress(pa.ArrowNotImplementedError):  # a long double
                    equivalent = pa.from_numpy_dtype(plain)
    return equivalent


def all_fitted(table: pa.Table, types: ColumnTypes) -> pa.Table:
    """Return a table with each column as its declared type where nothing is lost by that."""
    columns = [
        fitted(column, types.of(name))
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    return pa.table(columns, names=table.column_names)


def fitted(column: pa.ChunkedArray, dtype: Any) -> pa.ChunkedArray:
    """Return a column as its declared type, or as it is where that could lose something."""
    wanted = arrow_type(dtype)
    if wanted is None:
        return column
    if column.null_count == len(column) and column.type != wanted:
        # Nothing is in it, and writers give such a column any type.
        return pa.chunked_array([pa.nulls(len(column), wanted)])
    decoded = column
    if pa.types.is_dictionary(decoded.type):
        decoded = decoded.cast(decoded.type.value_type)
    targets = [wanted]
    if pa.types.is_timestamp(wanted) and pa.types.is_timestamp(decoded.type):
        # The year 9999 has no nanoseconds.
        targets.append(pa.timestamp(decoded.type.unit, wanted.tz))
    for target in targets:
        if decoded.type == target:
            return decoded
        if _may_become(decoded.type, target):
            try:
                return decoded.cast(target)
            except pa.ArrowInvalid:  # a value beyond what it can hold
                continue
    return column


def _may_become(actual: pa.DataType, wanted: pa.DataType) -> bool:
    """Return whether a checked cast keeps every value."""
    types = pa.types
    is_time = types.is_timestamp(wanted)
    if types.is_floating(actual):
        may = types.is_floating(wanted) and actual.bit_width <= wanted.bit_width
    elif types.is_integer(actual):
        may = types.is_integer(wanted) or types.is_floating(wanted)
    elif types.is_timestamp(actual):
        may = is_time and _is_same_clock(actual, wanted)
    elif types.is_date(actual):
        may = types.is_date(wanted) or (is_time and wanted.tz is None)
    elif types.is_decimal(actual):
        may = types.is_decimal(wanted)
    elif types.is_duration(actual):
        may = types.is_duration(wanted)
    else:
        may = is_text(actual) and is_text(wanted)
    return bool(may)


def _is_same_clock(actual: pa.DataType, wanted: pa.DataType) -> bool:
    """Return whether times mean the same: without a zone, they are taken as UTC."""
    if wanted.tz is None:
        return actual.tz in {None, "UTC", "Etc/UTC", "+00:00", "Z"}
    return actual.tz is not None


def is_text(kind: pa.DataType) -> bool:
    """Return whether a type of Arrow is text."""
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def to_frame(table: pa.Table, types: ColumnTypes) -> pd.DataFrame:
    """Convert a table that nobody else holds, freeing each column once it is converted."""
    names = table.column_names
    special = {
        name: converted
        for name, column in zip(names, table.columns, strict=True)
        if (converted := _converted(column, types.of(name))) is not None
    }
    # The pandas metadata may turn a column into the index: a delivery has columns only.
    table = table.select([name for name in names if name not in special])
    table = table.replace_schema_metadata()
    frame: pd.DataFrame = table.to_pandas(
        self_destruct=True, split_blocks=True, ignore_metadata=True
    )
    for position, name in enumerate(names):
        if name in special:
            frame.insert(position, name, special[name])
    return frame


def _converted(column: pa.ChunkedArray, dtype: Any) -> Any:
    """Return what a column is in pandas where pandas would not make that of it, else None."""
    wanted = arrow_type(dtype)
    if wanted is None:
        return None
    kind = dtype.type
    if column.type != wanted:
        # As what it is, not as objects: the contract says of which type it should be.
        return None if _has_numpy_type(column.type) else pd.arrays.ArrowExtensionArray(column)
    if isinstance(kind, pd.CategoricalDtype):
        values = column.to_pandas()
        known = kind.categories
        is_known = known is None or (values.isin(known) | values.isna()).all()
        return values.astype(kind) if is_known else values
    if isinstance(kind, pd.api.extensions.ExtensionDtype) and not isinstance(
        kind, (pd.StringDtype, pd.DatetimeTZDtype)
    ):
        return kind.__from_arrow__(column)  # type: ignore[attr-defined]
    return None


def _has_numpy_type(kind: pa.DataType) -> bool:
    """Return whether pandas has a type for it: it has none for dates, decimals, lists."""
    types = pa.types
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_timestamp(kind)
        or types.is_duration(kind)
        or types.is_dictionary(kind)
        or is_text(kind)
    )
