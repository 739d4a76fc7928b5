"""Reading a pinned delivery, proving that it is what was pinned.

The bytes that are parsed are the bytes that were hashed: a remote file is hashed while it is
downloaded, a local one before it is parsed, and must not have been touched until it is. Parquet is
turned into pandas' columns a few at a time, so that a delivery is never in memory twice, and who
keeps some of the rows only never has all of them.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa

from include.retraining.data.column_types import all_fitted, to_frame
from include.retraining.data.csv_file import checked_columns, read_csv
from include.retraining.data.delivery_place import open_location, refuse_link
from include.retraining.data.parquet_file import open_parquet, read_columns
from include.retraining.data.producer_manifest import is_csv_name
from include.retraining.data.reading import Reading
from include.retraining.exceptions import ConfigError, DataChanged, DataRejected, MissingObject
from include.retraining.fingerprint.pinned import Delivery, PinnedFile
from include.retraining.formatting.text import truncate
from include.retraining.store.object_store import Store

GROUP_CELLS = 20_000_000
"""How many cells are read at once, about: of few rows all columns, of many a few columns."""


def read_dataset(
    store: Store, delivery: Delivery, reading: Reading, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Read the columns of a delivery; rows in the order of the files, a fresh index.

    Args:
        store: where relative addresses start.
        delivery: as pinned.
        reading: how the columns are read.
        columns: which to read and in which order; None for all.

    Raises:
        DataChanged: when a file is not the one that was pinned, naming it.
        DataRejected: when a file cannot be parsed, names a column twice, lacks one or holds a cell
            that is not of its column's type; or when there are no rows.
        ConfigError: when the files are CSV and the contract gives a feature no type.
        StorageError: when the store refuses or does not answer.
    """
    with open_dataset(store, delivery, reading, columns) as dataset:
        return dataset.whole()


@contextmanager
def open_dataset(
    store: Store, delivery: Delivery, reading: Reading, columns: Sequence[str] | None = None
) -> Iterator[Dataset]:
    """Open a delivery to read columns of it; what is wrong is raised by its end at the latest.

    Args:
        store: where relative addresses start.
        delivery: as pinned.
        reading: how the columns are read.
        columns: which will be read; None for all.

    Raises:
        Error: as `read_dataset`.
    """
    place, folder = open_location(store, delivery.location)
    is_csv = is_csv_name(delivery.files[0].name)
    if is_csv:
        _require_types(reading)
    with ExitStack() as verified:
        files: list[_File] = []
        for file in delivery.files:
            path = verified.enter_context(_verified(place, folder, file))
            if is_csv:
                table = read_csv(path, file.name, reading, columns)
                files.append(_CsvFile(all_fitted(table, reading.types)))
                del table  # or its columns could not be freed once they are converted
            else:
                files.append(_ParquetFile(path, file.name, columns))
        _refuse_other_columns(delivery, [file.names for file in files], reading)
        yield Dataset(delivery, reading, files)
    _release_memory()


class Dataset:
    """An open delivery, of which columns are read, each with all rows and a fresh index."""

    def __init__(self, delivery: Delivery, reading: Reading, files: Sequence[_File]) -> None:
        """Read from these files."""
        self._delivery, self._reading, self._files = delivery, reading, files
        self.names = files[0].names
        """The columns that may be read, in order."""
        self.rows = sum(file.rows for file in files)

    def frame(self, names: Sequence[str]) -> pd.DataFrame:
        """Return some columns, which may be read again.

        Raises:
            DataRejected: when they cannot be read, or there are no rows.
        """
        tables = [all_fitted(file.read(names), self._reading.types) for file in self._files]
        return to_frame(_joined(tables, self._delivery), self._reading.types)

    def whole(self) -> pd.DataFrame:
        """Return all columns; none may be read again.

        Raises:
            DataRejected: as above.
        """
        frames = list(self._groups(self.names))
        return frames[0] if len(frames) == 1 else pd.concat(frames, axis=1)

    def columns(self, names: Sequence[str]) -> Iterator[pd.Series[Any]]:
        """Yield some columns, one after another, and keep none; they may not be read again.

        Raises:
            DataRejected: as above.
        """
        for frame in self._groups(names):
            yield from (frame[name] for name in frame.columns)

    def _groups(self, names: Sequence[str]) -> Iterator[pd.DataFrame]:
        step = max(1, GROUP_CELLS // max(1, self.rows))
        for start in range(0, len(names), step):
            group = list(names[start : start + step])
            frame = self.frame(group)
            for file in self._files:
                file.release(group)
            yield frame
            del frame
            _release_memory()


def _release_memory() -> None:
    """Return to the system what Arrow would keep for tables that are gone."""
    pa.default_memory_pool().release_unused()


class _File(Protocol):
    """One verified file of a delivery."""

    names: list[str]
    rows: int

    def read(self, names: Sequence[str]) -> pa.Table: ...

    def release(self, names: Sequence[str]) -> None: ...


class _ParquetFile:
    """A Parquet file: columns are read when they are asked for, and nothing is kept open."""

    def __init__(self, path: Path, name: str, columns: Sequence[str] | None) -> None:
        self._path, self._name = path, name
        with open_parquet(path, name) as parquet:
            self.names = checked_columns(parquet.schema_arrow.names, columns, name)
            self.rows = int(parquet.metadata.num_rows)

    def read(self, names: Sequence[str]) -> pa.Table:
        with open_parquet(self._path, self._name) as parquet:
            return read_columns(parquet, names, self._name)

    def release(self, names: Sequence[str]) -> None:
        pass


class _CsvFile:
    """A CSV file: all of it is parsed at once."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self.names = table.column_names
        self.rows = table.num_rows

    def read(self, names: Sequence[str]) -> pa.Table:
        return self._table.select(names)

    def release(self, names: Sequence[str]) -> None:
        self._table = self._table.drop_columns(list(names))


def _joined(tables: list[pa.Table], delivery: Delivery) -> pa.Table:
    """Return the rows of all files, and release the files' own tables."""
    if not any(table.num_rows for table in tables):
        raise DataRejected(f"the delivery has no rows: {_of_files(delivery)}")
    # A part without rows says nothing about the types that the contract leaves open.
    parts = [table for table in tables if table.num_rows]
    tables.clear()
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataRejected(f"the files disagree on a column's type: {_one_line(error)}") from error


def _require_types(reading: Reading) -> None:
    untyped = [name for name in reading.features if reading.types.of(name) is None]
    if untyped:
        raise ConfigError(
            f"include/models/{reading.model}.py: Contract: gives no type to "
            f"{', '.join(untyped[:5])}, which the model reads: a cell of a CSV file is text until "
            f"a type converts it; declare `{untyped[0]}: float`, or `str` for text"
        )


def _of_files(delivery: Delivery) -> str:
    count = len(delivery.files)
    who = delivery.files[0].name if count == 1 else f"each of its {count} files"
    return f"{who} holds the names of the columns only"


@contextmanager
def _verified(store: Store, folder: str, file: PinnedFile) -> Iterator[Path]:
    """Yield a local path to a file, which has the pinned content for as long as it is read."""
    key = f"{folder}/{file.name}".lstrip("/")
    refuse_link(store, key)
    local = store.local_path(key)
    if local is None:
        with tempfile.TemporaryDirectory(prefix="retraining-") as scratch:
            path = Path(scratch, file.name)
            _compare(file, _downloaded(store, key, path, file))
            yield path
        return
    try:
        before = local.stat()
        _compare(file, store.digest(key))
        yield local
        after = local.stat()
    except (FileNotFoundError, MissingObject) as error:
        raise DataChanged(f"{_changed(file)}: it is gone") from error
    if _touched(before) != _touched(after):
        raise DataChanged(f"{_changed(file)}: it was written to while it was read")


def _downloaded(store: Store, key: str, path: Path, file: PinnedFile) -> tuple[int, str]:
    """Download an object and return its size and SHA-256."""
    size, sha256 = 0, hashlib.sha256()
    try:
        with path.open("wb") as target:
            for chunk in store.stream(key):
                size += len(chunk)
                sha256.update(chunk)
                target.write(chunk)
    except MissingObject as error:
        raise DataChanged(f"{_changed(file)}: it is gone") from error
    return size, sha256.hexdigest()


def _compare(file: PinnedFile, actual: tuple[int, str]) -> None:
    size, sha256 = actual
    if size != file.size:
        raise DataChanged(f"{_changed(file)}: it has {size:,} bytes, had {file.size:,} when pinned")
    if sha256 != file.sha256:
        raise DataChanged(f"{_changed(file)}: its content is not what was pinned (SHA-256 differs)")


def _changed(file: PinnedFile) -> str:
    return f"data changed during the run: {file.name}"


def _touched(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _refuse_other_columns(delivery: Delivery, headers: list[list[str]], reading: Reading) -> None:
    """Refuse files with different columns, naming those that the contract knows."""
    for file, names in zip(delivery.files, headers, strict=True):
        first = delivery.files[0].name
        lacking = {"it": set(headers[0]) - set(names), first: set(names) - set(headers[0])}
        differences = [
            f"{who} lacks {_known(columns, reading)}" for who, columns in lacking.items() if columns
        ]
        if differences:
            raise DataRejected(
                f"{file.name}: its columns are not those of {first}: {'; '.join(differences)}"
            )


def _known(columns: set[str], reading: Reading) -> str:
    """Return the names of columns that the contract knows, and how many others there are."""
    known = sorted(name for name in columns if reading.types.declares(name))[:5]
    others = len(columns) - len(known)
    if others:
        unknown = f"column{'s' if others > 1 else ''} that the contract does not know"
        known.append(f"{others:,} {'more' if known else unknown}")
    return ", ".join(known)


def _one_line(error: Exception) -> str:
    return truncate(str(error), 200)
