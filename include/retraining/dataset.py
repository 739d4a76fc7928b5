"""Reading a pinned delivery into one frame, proving that it is what was pinned.

The bytes that are parsed are the bytes that were hashed: a remote file is hashed while it is
downloaded, a local one before it is parsed, and must not have been touched until it is. Parquet is
turned into a frame column by column, so that a delivery is never in memory twice.
"""

from __future__ import annotations

import csv
import hashlib
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa

from include.retraining.delivery import open_location, refuse_link
from include.retraining.exceptions import DataChanged, DataRejected
from include.retraining.manifest import Delivery, PinnedFile
from include.retraining.parquet_file import open_parquet, read_columns
from include.retraining.storage import MissingObject, Store


def read_dataset(
    store: Store, delivery: Delivery, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Read the columns of a delivery; rows in the order of the files, a fresh index.

    Args:
        store: where relative addresses start.
        delivery: as pinned.
        columns: which to read and in which order; None for all.

    Raises:
        DataChanged: when a file is not the one that was pinned, naming it.
        DataRejected: when a file cannot be parsed, names a column twice, or lacks one.
        StorageError: when the store refuses or does not answer.
    """
    place, folder = open_location(store, delivery.location)
    if delivery.files[0].name.endswith(".parquet"):
        return _read_parquet(place, folder, delivery, columns)
    return _read_csv(place, folder, delivery, columns)


def _read_parquet(
    store: Store, folder: str, delivery: Delivery, columns: Sequence[str] | None
) -> pd.DataFrame:
    tables = []
    for file in delivery.files:
        with _verified(store, folder, file) as path:
            parquet = open_parquet(path, file.name)
            names = _checked_columns(parquet.schema_arrow.names, columns, file)
            tables.append(read_columns(parquet, names, file.name))
    _refuse_other_columns(delivery, [table.column_names for table in tables])
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataRejected(f"the files disagree on a column's type: {_one_line(error)}") from error
    tables.clear()  # or the columns could not be freed while they are converted
    return _to_frame(table)


def _to_frame(table: pa.Table) -> pd.DataFrame:
    """Convert a table that nobody else holds, freeing each column once it is converted."""
    # The pandas metadata may turn a column into the index: a delivery has columns only.
    frame: pd.DataFrame = table.replace_schema_metadata().to_pandas(
        self_destruct=True, split_blocks=True, ignore_metadata=True
    )
    return frame


def _read_csv(
    store: Store, folder: str, delivery: Delivery, columns: Sequence[str] | None
) -> pd.DataFrame:
    frames = []
    for file in delivery.files:
        with _verified(store, folder, file) as path, _explained(file):
            with path.open(encoding="utf-8-sig", newline="") as text:
                header = next(csv.reader(text), [])
            names = _checked_columns(header, columns, file)
            frames.append(_parse_csv(path, None if columns is None else names, file)[names])
    _refuse_other_columns(delivery, [list(frame.columns) for frame in frames])
    return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]


def _parse_csv(path: Path, columns: list[str] | None, file: PinnedFile) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            # One inference per column (in chunks, a column could hold two types), and no index:
            # pandas would take the first cell of rows that are too long for one.
            return pd.read_csv(path, usecols=columns, low_memory=False, index_col=False)
        except pd.errors.ParserWarning as warning:
            text = f"{file.name}: rows have more cells than the header has names"
            raise DataRejected(text) from warning


@contextmanager
def _verified(store: Store, folder: str, file: PinnedFile) -> Iterator[Path]:
    """Give a local path to a file whose content is the pinned one for as long as it is read."""
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


def _compare(file: PinnedFile, found: tuple[int, str]) -> None:
    size, sha256 = found
    if size != file.size:
        raise DataChanged(f"{_changed(file)}: it has {size:,} bytes, had {file.size:,} when pinned")
    if sha256 != file.sha256:
        raise DataChanged(f"{_changed(file)}: its content is not what was pinned (SHA-256 differs)")


def _changed(file: PinnedFile) -> str:
    return f"data changed during the run: {file.name}"


def _touched(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


@contextmanager
def _explained(file: PinnedFile) -> Iterator[None]:
    """Turn a parser's errors into ours, in one line that names the file."""
    try:
        yield
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        raise DataRejected(f"{file.name}: is not readable as CSV: {_one_line(error)}") from error
    except UnicodeDecodeError as error:
        where = f"byte {error.start:,}"
        raise DataRejected(f"{file.name}: is not text in UTF-8 ({where})") from error


def _checked_columns(
    present: Sequence[str], wanted: Sequence[str] | None, file: PinnedFile
) -> list[str]:
    """Return the columns to read of those that a file has.

    Raises:
        DataRejected: when a name is there twice or a wanted one is not there.
    """
    if not present:
        raise DataRejected(f"{file.name}: has no columns")
    if "" in present:
        raise DataRejected(f"{file.name}: column {list(present).index('') + 1} has no name")
    twice = sorted({name for name in present if list(present).count(name) > 1})
    if twice:
        raise DataRejected(f"{file.name}: has the column {twice[0]!r} more than once")
    missing = [name for name in wanted or () if name not in present]
    if missing:
        raise DataRejected(f"{file.name}: lacks the column {missing[0]!r}")
    return list(present if wanted is None else wanted)


def _refuse_other_columns(delivery: Delivery, found: list[list[str]]) -> None:
    for file, names in zip(delivery.files, found, strict=True):
        differing = sorted(set(names) ^ set(found[0]))
        if differing:
            raise DataRejected(
                f"{file.name}: its columns are not those of {delivery.files[0].name}: "
                f"{', '.join(differing[:5])}"
            )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
