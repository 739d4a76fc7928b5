"""Tables as files between us and a command: CSV, Arrow or Parquet, by the ending of their name."""

from __future__ import annotations

import csv
import stat
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.retraining.data.arrays import Column
from include.retraining.exceptions import TrainingError

CSV = ".csv"
PARQUET = ".parquet"


class WrongTable(ValueError):
    """What is wrong with a table that a command wrote, without its name and without a cell."""


def write_table(path: Path, columns: Mapping[str, pd.Series[Any] | Column]) -> None:
    """Write columns: as CSV so that numbers read back exactly, else with their types.

    Missing cells are empty in CSV, and null in Arrow and Parquet.

    Raises:
        TrainingError: naming a column whose cells are of several types, which only CSV can hold.
    """
    if path.suffix == CSV:
        frame = pd.DataFrame({name: _plain(pd.Series(cells)) for name, cells in columns.items()})
        with path.open("w", encoding="utf-8", newline="") as file:
            frame.to_csv(
                _LineFeeds(file),
                index=False,
                lineterminator=_LineFeeds.ENDING,
                date_format="%Y-%m-%dT%H:%M:%S.%f%z",
            )
        return
    table = pa.table({name: _typed(name, cells) for name, cells in columns.items()})
    if path.suffix == PARQUET:
        pq.write_table(table, path)
        return
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


class _LineFeeds:
    """Ends each row with a line feed.

    Python's csv quotes a cell with a carriage return only where rows end with one too (until 3.13),
    and readers take a bare one for the end of a row.
    """

    ENDING = "\r\n"

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, row: str) -> int:
        """Write one row."""
        return self._file.write(f"{row.removesuffix(self.ENDING)}\n")

    def __getattr__(self, name: str) -> Any:
        """Be a file in all else, as pandas asks for."""
        return getattr(self._file, name)


def _plain(cells: pd.Series[Any]) -> pd.Series[Any]:
    """Return cells as whole numbers where they are true or false, as doubles where less exact."""
    cells = cells.reset_index(drop=True)
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    if pd.api.types.infer_dtype(cells, skipna=True) == "boolean":
        return cells.astype("boolean").astype("Int64")
    # The shortest text of a float32 is that of another double.
    if isinstance(cells.dtype, np.dtype) and cells.dtype.kind == "f":
        return cells.astype(np.float64)
    return cells.astype("Float64") if cells.dtype == "Float32" else cells


def _typed(name: str, cells: pd.Series[Any] | Column) -> pa.Array | pa.ChunkedArray:
    """Return cells with their type; of a category its words, as codes differ between tables."""
    try:
        typed = pa.array(cells, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise TrainingError(
            f"training.commands.tables: column {name!r} holds cells of several types, which only "
            "csv can hold: give it one type in the model's Contract"
        ) from error
    return typed.dictionary_decode() if pa.types.is_dictionary(typed.type) else typed


def read_table(path: Path, check_names: Callable[[list[str]], None]) -> pd.DataFrame:
    """Read what a command wrote.

    Args:
        path: the file.
        check_names: called with the names of its columns before any cell is read; raises to refuse
            them.

    Returns:
        Its cells: text from CSV, else numbers as float64, NaN for a missing one, and text.

    Raises:
        WrongTable: when there is no file, or it is not readable.
    """
    if not path.exists() or not stat.S_ISREG(path.lstat().st_mode):
        raise WrongTable("was not written")
    if path.suffix == CSV:
        return _read_csv(path, check_names)
    table = _read_typed(path)
    check_names(table.column_names)
    return pd.DataFrame({name: _cells(name, table[name]) for name in table.column_names})


def _read_csv(path: Path, check_names: Callable[[list[str]], None]) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            header = next(csv.reader(text, strict=True), [])
        check_names(header)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                path, encoding="utf-8-sig", dtype=object, na_filter=False, index_col=False
            )
    except UnicodeDecodeError as error:
        raise WrongTable("is not text in UTF-8") from error
    except (csv.Error, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        # Without the parser's own words: they may hold cells.
        raise WrongTable("is not readable as CSV, or has rows of another length") from error


def _read_typed(path: Path) -> pa.Table:
    kind = "Parquet" if path.suffix == PARQUET else "an Arrow file (IPC, also called Feather 2)"
    try:
        if path.suffix == PARQUET:
            table = pq.ParquetFile(path).read()
        else:
            with pa.OSFile(str(path)) as file:
                table = pa.ipc.open_file(file).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
            raise  # too little memory, or a failing disk
        raise WrongTable(f"is not readable as {kind}: was it written to its end?") from error
    return table


def _cells(name: str, column: pa.ChunkedArray) -> Column:
    """Return numbers as float64, NaN for a missing one, and text as objects, empty for missing."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind, types = column.type, pa.types
    if types.is_boolean(kind):
        column = column.cast(pa.int8())
        kind = column.type
    if types.is_integer(kind) or types.is_floating(kind):
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return np.array(column.fill_null("").to_pylist(), dtype=object)
    if types.is_null(kind):
        return np.full(len(column), np.nan)
    raise WrongTable(f"column {name}: is of type {kind}, must be of numbers or text")
