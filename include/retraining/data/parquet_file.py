"""Reading one Parquet file, and explaining what is wrong with one that cannot be read.

Arrow reports damage as any of its exceptions or as a bare `OSError`, and without the column. What
is reported is ours: file, column and rows, found by reading the columns one by one. Arrow's own
words may hold a cell and stay in the task's log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from include.retraining.exceptions import DataRejected

_CAUSES = {
    r"magic bytes|file size is \d+ bytes|smaller than the minimum": (
        "it does not begin and end with PAR1: is it complete, and is it Parquet at all?"
    ),
    "encrypt|decrypt": "it is encrypted, and deliveries are read without a key",
    "not implemented|unsupported": "it uses a feature of Parquet that is not supported",
}
_OTHER_CAUSE = "it is damaged"


def open_parquet(path: Path, name: str) -> pq.ParquetFile:
    """Open a file and read its footer.

    Args:
        path: where it lies on this machine.
        name: for error messages.

    Raises:
        DataRejected: naming the file and what is wrong with it.
    """
    with _explained(name):
        parquet = pq.ParquetFile(path)
        _ = parquet.schema_arrow.names  # decoded only now
        return parquet


def read_columns(parquet: pq.ParquetFile, columns: Sequence[str], name: str) -> pa.Table:
    """Read some columns, and check that their text is valid.

    Args:
        parquet: an open file.
        columns: which, in order.
        name: of the file, for error messages.

    Raises:
        DataRejected: naming the file, the column and the rows.
    """
    try:
        table = parquet.read(columns=list(columns)).select(columns)
    except (pa.ArrowException, OSError) as error:
        _raise_unless_damage(error)
        raise _located(parquet, columns, name, error) from error
    for column in table.column_names:
        _check_text(table.column(column), f"{name}: column {column!r}")
    return table


def _located(
    parquet: pq.ParquetFile, columns: Sequence[str], name: str, error: Exception
) -> DataRejected:
    """Return the error that names the first column and the rows that cannot be read."""
    first = 0
    for group in range(parquet.num_row_groups):
        rows = parquet.metadata.row_group(group).num_rows
        for column in columns:
            try:
                parquet.read_row_group(group, columns=[column])
            except (pa.ArrowException, OSError) as damage:
                _raise_unless_damage(damage)
                where = f"{name}: column {column!r}, rows {first + 1:,} to {first + rows:,}"
                return DataRejected(f"{where}: is not readable as Parquet: {_cause(damage)}")
        first += rows
    return DataRejected(f"{name}: is not readable as Parquet: {_cause(error)}")


def _check_text(column: pa.ChunkedArray, where: str) -> None:
    """Refuse text that is not UTF-8: Arrow reads it, and pandas fails at the first such cell."""
    if pa.types.is_primitive(column.type) or pa.types.is_null(column.type):
        return
    first = 0
    for chunk in column.chunks:
        try:
            chunk.validate(full=True)
        except pa.ArrowInvalid as error:
            at = re.search(r"Invalid UTF8 sequence at string index (\d+)", str(error))
            row = f" in row {first + int(at[1]) + 1:,}" if at else ""
            raise DataRejected(
                f"{where}: is not text in UTF-8{row}: have the producer write UTF-8"
                if "UTF8" in str(error)
                else f"{where}: is not readable as Parquet: {_OTHER_CAUSE}"
            ) from error
        first += len(chunk)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        text = f"{name}: is not readable as Parquet: the name of a column is not text in UTF-8"
        raise DataRejected(text) from error
    except (pa.ArrowException, OSError) as error:
        _raise_unless_damage(error)
        raise DataRejected(f"{name}: is not readable as Parquet: {_cause(error)}") from error


def _raise_unless_damage(error: Exception) -> None:
    """Raise what is not the file's fault: too little memory, or a failing disk (`errno`)."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
        raise error


def _cause(error: Exception) -> str:
    said = str(error).lower()
    return next((cause for sign, cause in _CAUSES.items() if re.search(sign, said)), _OTHER_CAUSE)
