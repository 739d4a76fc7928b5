"""What a sample shows of each column: kind, gaps, how many different values, their range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from include.retraining.data.column_types import is_text
from include.retraining.scaffold.cell_types import what_it_seems

MAX_LISTED = 20
"""As many different values are kept; of more only how many there are."""

Kind = Literal["whole", "number", "truth", "text", "moment", "other"]


@dataclass(frozen=True)
class Column:
    """One column of a sample."""

    name: str
    kind: Kind
    rows: int
    missing: int
    distinct: int
    """How many different values there are, gaps not counted."""
    values: tuple[Any, ...] = ()
    """These values, sorted, where they are few."""
    smallest: float | None = None
    """Of numbers."""
    largest: float | None = None
    first_missing: int | None = None
    """The first row without a value, counted from 1."""
    seems: str | None = None
    """Of a column that is not read as what it seems to hold: that, and how it would be."""
    zone: str | None = None
    """Of times in another zone than UTC."""

    @property
    def is_numeric(self) -> bool:
        """Whether it holds numbers."""
        return self.kind in {"whole", "number"}

    @property
    def is_flag(self) -> bool:
        """Whether it holds 0 and 1 only."""
        return self.is_numeric and self.values == (0, 1)

    @property
    def names_rows(self) -> bool:
        """Whether each row has a value of its own."""
        return self.missing == 0 and self.distinct == self.rows


def describe(table: pa.Table) -> dict[str, Column]:
    """Return what there is to say of each column, in their order."""
    pairs = zip(table.column_names, table.columns, strict=True)
    return {name: _described(name, column) for name, column in pairs}


def _described(name: str, column: pa.ChunkedArray) -> Column:
    kind = _kind(column.type)
    facts: dict[str, Any] = {"rows": len(column), "missing": column.null_count, "distinct": 0}
    if kind == "other":
        return Column(name, kind, **facts, **_zone(column.type))
    if kind == "text":
        facts["seems"] = what_it_seems(column)
    if pa.types.is_floating(column.type):  # what is no number is a gap
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        facts["missing"] = column.null_count
    first = pc.index(column.is_null(), True).as_py()
    facts["first_missing"] = first + 1 if first >= 0 else None
    different = pc.unique(column).drop_null()
    facts["distinct"] = len(different)
    if len(different) <= MAX_LISTED:
        facts["values"] = tuple(sorted(different.to_pylist()))
    if kind in {"whole", "number"} and len(different):
        limits = pc.min_max(different).as_py()
        facts |= {"smallest": limits["min"], "largest": limits["max"]}
    return Column(name, kind, **facts)


def _zone(kind: pa.DataType) -> dict[str, Any]:
    """Return the zone of times, and how a contract declares them."""
    if not pa.types.is_timestamp(kind):
        return {}
    declared = f'Annotated[pd.DatetimeTZDtype, "{kind.unit}", "{kind.tz}"]'
    return {"zone": kind.tz, "seems": f"times in {kind.tz}: to read them declare {declared}"}


def _kind(kind: pa.DataType) -> Kind:
    types = pa.types
    kinds: Mapping[Kind, bool] = {
        "whole": types.is_integer(kind),
        "number": types.is_floating(kind),
        "truth": types.is_boolean(kind),
        "text": is_text(kind),
        "moment": types.is_date(kind)
        or (types.is_timestamp(kind) and kind.tz in {None, "UTC", "Etc/UTC", "+00:00"}),
    }
    return next((name for name, is_so in kinds.items() if is_so), "other")
