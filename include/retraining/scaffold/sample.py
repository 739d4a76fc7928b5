"""Reading a sample: a CSV file whose dialect and types are guessed, or a Parquet file, which says.

Only here is anything guessed from cells. What is guessed becomes words in a model's files, by which
every delivery is read from then on.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from include.retraining.config.csv_dialect import MISSING_WORDS, CsvDialect
from include.retraining.data.csv_file import checked_columns
from include.retraining.data.csv_mistakes import other_kind
from include.retraining.exceptions import ConfigError, DataRejected
from include.retraining.scaffold.cell_types import converted, missing_words, without_words

MAX_BYTES = 64 * 2**20
"""Of a CSV file, as much is read, unpacked."""
MAX_ROWS = 200_000
"""Of a Parquet file, as many are read."""
SEPARATORS = ",;\t|"
ENDINGS = (".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True)
class Sample:
    """The first rows of a file, or all of them."""

    path: Path
    table: pa.Table
    csv: CsvDialect
    """Of a CSV file, how it is written."""
    is_cut: bool
    """Whether the file has more rows."""

    @property
    def pattern(self) -> str:
        """Which files of a delivery are like it."""
        return next(f"*{ending}" for ending in ENDINGS if self.path.name.endswith(ending))


def read_sample(path: Path) -> Sample:
    """Read a sample, each column with the type that all its cells have.

    Raises:
        ConfigError: when there is no such file, nothing in it, or one column only; when it is
            neither CSV nor Parquet.
    """
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder: name one file in it")
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    if not path.name.endswith(ENDINGS):
        raise ConfigError(f"{path}: a sample is a file that ends in {', '.join(ENDINGS)}")
    if path.stat().st_size == 0:
        raise ConfigError(f"{path}: is empty")
    path = path.resolve()
    try:
        sample = _read_parquet(path) if path.name.endswith(".parquet") else _read_csv(path)
    except DataRejected as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    table = sample.table
    if table.num_columns < 2:
        raise ConfigError(
            f"{path.name}: has one column only: a model needs a key, a label and something to "
            "learn from"
        )
    if table.num_rows == 0:
        raise ConfigError(f"{path.name}: holds the names of its columns and no row")
    if table.num_rows == 1:
        raise ConfigError(f"{path.name}: has one row only: give a delivery, if there is one")
    return sample


def _read_parquet(path: Path) -> Sample:
    batches, rows = [], 0
    try:
        with pq.ParquetFile(path) as file:
            checked_columns(file.schema_arrow.names, None, path.name)
            total, schema = file.metadata.num_rows, file.schema_arrow
            for batch in file.iter_batches():
                batches.append(batch)
                rows += batch.num_rows
                if rows >= MAX_ROWS:
                    break
    except pa.ArrowInvalid as error:
        raise ConfigError(f"{path.name}: is not readable as Parquet: is it complete?") from error
    table = pa.Table.from_batches(batches, schema=schema).replace_schema_metadata()
    columns = [_decoded(column) for column in table.columns]
    return Sample(path, pa.table(columns, names=table.column_names), CsvDialect(), rows < total)


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    is_encoded = pa.types.is_dictionary(column.type)
    return column.cast(column.type.value_type) if is_encoded else column


def _read_csv(path: Path) -> Sample:
    data, is_cut = _first_bytes(path)
    text, encoding = _decoded_text(data, path.name)
    text = text.removeprefix("\ufeff")
    separator = max(SEPARATORS, key=re.split(r"[\r\n]", text, maxsplit=1)[0].count)
    names = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
    if names and all(re.fullmatch(r"[-+0-9.,eE ]+", name) for name in names):
        raise ConfigError(
            f"{path.name}: its first line holds numbers where the names of the columns belong"
        )
    checked_columns(names, None, path.name)
    table = _all_texts(text, names, separator)
    decimal = _decimal(table) if separator != "," else "."
    words = missing_words(table, decimal)
    columns = [converted(without_words(column, words), decimal) for column in table.columns]
    dialect = CsvDialect(separator=separator, decimal=decimal, encoding=encoding, missing=words)
    return Sample(path, pa.table(columns, names=names), dialect, is_cut)


def _first_bytes(path: Path) -> tuple[bytes, bool]:
    """Return the beginning of a file up to the end of a line, and whether there is more."""
    try:
        with path.open("rb") as raw:
            file: Any = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
            data: bytes = file.read(MAX_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ConfigError(f"{path.name}: is not readable as gzip: is it complete?") from error
    if len(data) <= MAX_BYTES:
        return data, False
    return data[: data.rfind(b"\n") + 1], True


def _decoded_text(data: bytes, name: str) -> tuple[str, str]:
    """Return a file's text and the name of its encoding."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace"), "utf-16"
    kind = other_kind(data)
    if kind is None and b"\x00" in data:
        kind = "is no text: save it as CSV or as Parquet"
    if kind is not None:
        raise ConfigError(f"{name}: {kind}")
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), "cp1252"


def _all_texts(text: str, names: list[str], separator: str) -> pa.Table:
    """Return all cells as text; rows of another length are left out, as the reader will say."""
    encoded = text.encode()
    return pacsv.read_csv(
        io.BytesIO(encoded),
        read_options=pacsv.ReadOptions(block_size=max(2**20, len(encoded) + 1)),
        parse_options=pacsv.ParseOptions(
            delimiter=separator, newlines_in_values=True, invalid_row_handler=lambda _: "skip"
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )


def _decimal(table: pa.Table) -> Any:
    """Return the decimal sign of a file whose cells are not separated by commas."""
    for column in table.columns:
        cells = column.drop_null()
        cells = cells.filter(pc.invert(pc.match_substring_regex(cells, f"^{MISSING_WORDS}$")))
        has_comma = pc.match_substring_regex(cells, r"^-?[0-9]+,[0-9]+$")
        is_number = pc.match_substring_regex(cells, r"^-?[0-9]+(,[0-9]+)?$")
        if len(cells) and pc.any(has_comma).as_py() and pc.all(is_number).as_py():
            return ","
    return "."
