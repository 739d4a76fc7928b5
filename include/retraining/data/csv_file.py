"""Reading one CSV file: a cell is text until the contract's type converts it.

A cell is missing when it is empty or holds a word that the YAML names. A column without a type in
the contract stays text. Nothing is guessed from the cells, so a file reads the same whichever files
lie beside it (docs/csv.md).
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from include.retraining.config.csv_dialect import CsvDialect
from include.retraining.data.column_types import arrow_type
from include.retraining.data.csv_cells import BadCells, bad_cells, cells_of_other_types
from include.retraining.data.csv_mistakes import CsvText
from include.retraining.data.reading import Reading
from include.retraining.exceptions import DataRejected

BLOCK_BYTES = 4 * 2**20
MAX_COLUMNS = 100_000
YES = ("True", "true", "TRUE", "1")
NO = ("False", "false", "FALSE", "0")
WHOLE_KEY = r"^(0|-?[1-9][0-9]*)$"
UTC_OFFSET = r"(Z|[+-]00:?00)$"
NOT_WHOLE = (
    "of a key of type int, written with zeros before it, a sign, a point or too many digits: "
    "declare str, and it stays as it is written"
)
NO_MOMENT = "no date or time like 2026-11-24, in UTC or without an offset"
NO_ZONED_MOMENT = "no time with an offset, like 2026-11-24T06:00:00+01:00"
# The unit that has room for any date is tried where the declared one has none.
ANY_DATE = "us"


def read_csv(path: Path, name: str, reading: Reading, columns: Sequence[str] | None) -> pa.Table:
    """Read some columns of one file, typed as the contract declares them.

    Args:
        path: where it lies on this machine.
        name: for error messages; `.gz` at its end means that it is compressed.
        reading: how the columns are read.
        columns: which, in order; None for all.

    Raises:
        DataRejected: naming the file, the line, the column and the rule; never a cell.
    """
    text = CsvText(path, name, reading.csv)
    try:
        header = text.checked_header(reading.types.by_name)
        names = checked_columns(header, columns, name)
        table = _read(text, names, reading)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataRejected(f"{name}: is not readable as gzip: is it complete?") from error
    except UnicodeError as error:
        raise text.not_encoded() from error
    converted = [
        _converted(column, cells, reading)
        for column, cells in zip(names, table.columns, strict=True)
    ]
    bad = [cells for cells in converted if isinstance(cells, BadCells)]
    if bad:
        raise text.broken(bad)
    return pa.table(converted, names=names)


def checked_columns(present: Sequence[str], wanted: Sequence[str] | None, name: str) -> list[str]:
    """Return the columns to read of those that a file has.

    Raises:
        DataRejected: when a name is there twice or a wanted one is not there, or when there are
            more columns than any step could work with.
    """
    if not present:
        raise DataRejected(f"{name}: has no columns")
    if len(present) > MAX_COLUMNS:
        raise DataRejected(
            f"{name}: has {len(present):,} columns, allowed are {MAX_COLUMNS:,}: is its first line "
            "a header, and are rows and columns the right way round?"
        )
    counts = Counter(present)
    if "" in counts:
        raise DataRejected(
            f"{name}: column {list(present).index('') + 1} has no name: name it, or, where "
            "pandas writes the file, leave its index out (index=False)"
        )
    twice = next((column for column, times in counts.items() if times > 1), None)
    if twice is not None:  # named by position: without a header, cells stand as names
        places = [str(at) for at, column in enumerate(present, start=1) if column == twice]
        raise DataRejected(f"{name}: columns {' and '.join(places[:5])} have the same name")
    missing = [column for column in wanted or () if column not in counts]
    if missing:
        raise DataRejected(f"{name}: lacks the column {missing[0]!r}")
    return list(present if wanted is None else wanted)


class _SkippedRows:
    """Counts the rows that the parser leaves out because they have another number of cells."""

    count = 0

    def __call__(self, _row: Any) -> str:
        self.count += 1
        return "skip"


def _read(text: CsvText, names: list[str], reading: Reading) -> pa.Table:
    types = {name: _parsed_as(name, reading) for name in names}
    skipped = _SkippedRows()
    try:
        table = _parse(text, types, reading.csv, skipped)
    except pa.ArrowInvalid as error:
        if skipped.count:
            raise text.of_other_length() from error
        if "conversion error" not in str(error) or "UTF8" in str(error):
            raise text.unreadable(str(error)) from error
        table = None
    if skipped.count:
        raise text.of_other_length()
    if table is None or _has_word_nan(table):
        texts = _parse(text, dict.fromkeys(names, pa.string()), reading.csv, _SkippedRows())
        text.refuse_swallowed(texts)
        bad = cells_of_other_types(texts, types, reading.csv.decimal)
        for name, kind in types.items():
            if pa.types.is_string(kind):
                converted = _converted(name, texts.column(name), reading)
                bad += [converted] if isinstance(converted, BadCells) else []
        raise text.broken(bad)
    text.refuse_swallowed(table)
    return table


def _parse(
    text: CsvText, types: dict[str, pa.DataType], dialect: CsvDialect, skipped: _SkippedRows
) -> pa.Table:
    """Return the columns of these types.

    Raises:
        pa.ArrowInvalid: when a cell is not of its column's type, or the file cannot be parsed.
    """
    with text.open() as file:
        return pacsv.read_csv(
            file,
            read_options=pacsv.ReadOptions(
                encoding=dialect.encoding, block_size=max(BLOCK_BYTES, 16 * text.header_bytes)
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=dialect.separator,
                quote_char=dialect.quote or False,
                newlines_in_values=dialect.quote is not None,
                invalid_row_handler=skipped,
            ),
            convert_options=pacsv.ConvertOptions(
                include_columns=list(types),
                column_types=types,
                null_values=["", *dialect.missing],
                strings_can_be_null=True,
                true_values=YES,
                false_values=NO,
                decimal_point=dialect.decimal,
            ),
        )


def _parsed_as(name: str, reading: Reading) -> pa.DataType:
    """Return as what the parser reads a column; what it cannot read our way is text first."""
    wanted = arrow_type(reading.types.of(name))
    if name == reading.key and wanted is not None and pa.types.is_integer(wanted):
        return pa.string()
    if wanted is None or name in reading.guessed:
        return pa.string()
    if pa.types.is_float16(wanted):
        return pa.float64()
    types = pa.types
    is_parsed = (
        types.is_integer(wanted)
        or types.is_floating(wanted)
        or types.is_boolean(wanted)
        or types.is_decimal(wanted)
    )
    return wanted if is_parsed else pa.string()


def _has_word_nan(table: pa.Table) -> bool:
    """Return whether a numeric cell says `nan`: that is text, not a number."""
    return any(
        pc.any(pc.is_nan(column)).as_py()
        for column in table.columns
        if pa.types.is_floating(column.type)
    )


def _converted(name: str, column: pa.ChunkedArray, reading: Reading) -> pa.ChunkedArray | BadCells:
    """Convert what the parser left as text: keys of numbers, moments, what may be a number."""
    wanted = arrow_type(reading.types.of(name))
    converted = column
    if name in reading.guessed:
        converted = _guessed(column)
    elif wanted == pa.float16():
        converted = column.cast(wanted)
    elif wanted is None or not pa.types.is_string(column.type):
        pass
    elif pa.types.is_integer(wanted):  # the key
        is_bad = pc.invert(pc.match_substring_regex(column, WHOLE_KEY))
        if not pc.any(is_bad).as_py():
            is_bad = _unconvertible(column, wanted)
        if pc.any(is_bad).as_py():
            return bad_cells(name, NOT_WHOLE, is_bad)
        converted = column.cast(wanted)
    elif pa.types.is_timestamp(wanted) or pa.types.is_date(wanted):
        moments, is_bad = _moments(column, wanted)
        is_zoned = pa.types.is_timestamp(wanted) and wanted.tz is not None
        words = NO_ZONED_MOMENT if is_zoned else NO_MOMENT
        converted = moments if is_bad is None else bad_cells(name, words, is_bad)
    return converted


def _guessed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    for kind in (pa.int64(), pa.float64()):
        try:
            return column.cast(kind)
        except pa.ArrowInvalid:
            continue
    return column


def _moments(
    column: pa.ChunkedArray, wanted: pa.DataType
) -> tuple[pa.ChunkedArray, None] | tuple[None, pa.ChunkedArray]:
    """Return dates or times in ISO 8601; where a cell holds none, which do not."""
    text = pc.utf8_trim_whitespace(column)
    targets = [wanted]
    if pa.types.is_timestamp(wanted):
        targets.append(pa.timestamp(ANY_DATE, wanted.tz))
        if wanted.tz is None:
            text = pc.replace_substring_regex(text, UTC_OFFSET, "")
    for target in targets:
        try:
            return text.cast(target), None
        except pa.ArrowInvalid:
            continue
    return None, _unconvertible(text, targets[-1])


def _unconvertible(text: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    bad: list[Any] = []

    def halve(values: pa.Array) -> None:
        try:
            values.cast(wanted)
        except pa.ArrowInvalid:
            if len(values) == 1:
                bad.append(values[0].as_py())
                return
            halve(values[: len(values) // 2])
            halve(values[len(values) // 2 :])

    try:
        text.cast(wanted)
    except pa.ArrowInvalid:
        halve(pc.unique(text))
    return pc.is_in(text, value_set=pa.array(bad, pa.string()))
