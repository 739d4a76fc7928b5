"""The two forms of a contract: a pandera `DataFrameModel`, or a `DataFrameSchema` for many columns.

Light on purpose: pandera is imported by the model's own file, and only then here.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol


class Contract(Protocol):
    """What a delivery is held against."""

    def to_schema(self) -> Any:
        """Return the pandera `DataFrameSchema`."""


@dataclass(frozen=True)
class SchemaContract:
    """A contract that was written as a schema."""

    schema: Any

    def to_schema(self) -> Any:
        """Return the schema."""
        return self.schema


def contract_of(value: Any) -> Contract | None:
    """Return what a model's file calls `Contract`; None where that is neither form."""
    if isinstance(value, type):
        return value if hasattr(value, "to_schema") else None
    import pandera.pandas as pa

    return SchemaContract(value) if isinstance(value, pa.DataFrameSchema) else None


def lost_columns(value: Any) -> Iterator[str]:
    """Yield the columns that a contract class is annotated with and that pandera does not know.

    pandera reads a class when it is made, and gives a `Field` the name of one column. What is added
    afterwards it does not hear of; and of columns that share a `Field` it keeps the last.
    """
    if not isinstance(value, type):
        return
    for base in value.__mro__:
        if base.__module__.partition(".")[0] in {"pandera", "builtins", "typing"}:
            continue
        for name in inspect.get_annotations(base):
            if name.startswith("_") or name == "Config":
                continue
            if not _is_known(vars(base).get(name), name):
                yield name


def _is_known(field: Any, name: str) -> bool:
    """Return whether a class attribute is the field of a column of this name, or of an alias."""
    if field is None:
        return False
    return bool(getattr(field, "alias", None)) or getattr(field, "original_name", name) == name
