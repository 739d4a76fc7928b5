"""Explaining what is wrong with a CSV file, where, and which setting would read it.

Everything here reads the file once more, slowly and with line numbers, and only after it has been
refused. Errors name lines, columns and counts, never cells: columns may be protected.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

from include.retraining.config.csv_dialect import CsvDialect
from include.retraining.data.csv_cells import BadCells
from include.retraining.data.refusal import refused
from include.retraining.exceptions import DataRejected

HEAD_BYTES = 64 * 2**10
MANY_BREAKS = 1000
# Of plain letters in UTF-16, every other byte is NUL.
WIDE_SHARE = 0.25
OTHER_SEPARATORS = {";": "';'", "\t": r"'\t' (a tab)", "|": "'|'", ",": "','"}
# The first bytes of files that are not text.
MAGIC = {
    b"PK\x03\x04": "is a zip archive or an Excel workbook (.xlsx): export it as CSV",
    b"\xd0\xcf\x11\xe0": "is an old Office document such as .xls: export it as CSV",
    b"PAR1": "is Parquet: its name must end in .parquet",
    b"\x1f\x8b": (
        "is compressed with gzip: its name must end in .csv.gz, and data.files must match it "
        '(as "*.csv.gz" does)'
    ),
    b"BZh": "is compressed with bzip2: deliver it plain or as .csv.gz",
    b"\xfd7zXZ": "is compressed with xz: deliver it plain or as .csv.gz",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd: deliver it plain or as .csv.gz",
}


def other_kind(head: bytes) -> str | None:
    """Return what a file is that is no text, by its first bytes, and what to do about it."""
    return next((words for magic, words in MAGIC.items() if head.startswith(magic)), None)


@dataclass(frozen=True)
class CsvText:
    """One CSV file as lines of text."""

    path: Path
    name: str
    dialect: CsvDialect

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Give its bytes, unpacked where it is compressed."""
        is_packed = self.name.endswith(".gz")
        with gzip.open(self.path, "rb") if is_packed else self.path.open("rb") as file:
            yield file  # type: ignore[misc]

    @cached_property
    def header_bytes(self) -> int:
        """The length of its first line, about."""
        with self.open() as file:
            return len(file.readline())

    def checked_header(self, declared: Collection[str]) -> list[str]:
        """Return the names in its first line.

        Args:
            declared: the columns that the contract knows.

        Raises:
            DataRejected: when it is no CSV, or most likely one of another dialect.
        """
        with self.open() as file:
            head = file.read(HEAD_BYTES)
        self._refuse_other_kinds(head)
        rows = self.rows()
        try:
            _, _, header = next(rows, (1, 1, []))
            second = next(rows, (2, 2, []))[2]
        except csv.Error as error:
            raise DataRejected(f"{self.name}: line 1 is not readable as CSV") from error
        if not header:
            raise DataRejected(
                f"{self.name}: line 1 is blank: the first line must hold the names of the columns"
            )
        if (header[0].lower().startswith("sep=") and len(header) == 1) or header == ["sep=", ""]:
            raise DataRejected(
                f"{self.name}: line 1 is Excel's note on the separator: have the producer leave it "
                "out, and set data.csv.separator"
            )
        self._refuse_other_separator(header, second)
        if len(header) == 1 < len(second) or (declared and not set(header) & set(declared)):
            raise DataRejected(
                f"{self.name}: line 1 does not look like a header: "
                + (
                    f"it has 1 cell, line 2 has {len(second)}"
                    if len(header) == 1 < len(second)
                    else "none of its cells is a column of the contract"
                )
                + "; the first line must hold the names of the columns"
            )
        return header

    def _refuse_other_kinds(self, head: bytes) -> None:
        kind = "is empty" if not head else other_kind(head)
        if kind is not None:
            raise DataRejected(f"{self.name}: {kind}")
        is_wide = self.dialect.encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32"))
        if is_wide:
            return
        nuls = head.count(b"\x00")
        if head.startswith((b"\xff\xfe", b"\xfe\xff")) or nuls > len(head) * WIDE_SHARE:
            raise DataRejected(
                f"{self.name}: is not text in {self.dialect.encoding}: it looks like UTF-16 (set "
                "data.csv.encoding: utf-16) or is no text at all"
            )
        if nuls:
            line = len(re.split(rb"\r\n|\r|\n", head[: head.index(b"\x00")]))
            raise DataRejected(
                f"{self.name}: line {line:,} holds a NUL character (a zero byte), which no text "
                "has: have the producer write the file again without it"
            )

    def _refuse_other_separator(self, header: list[str], second: list[str]) -> None:
        separator = self.dialect.separator
        for other, word in OTHER_SEPARATORS.items():
            if len(header) == 1 and other != separator and other in header[0]:
                comma = re.search(r"\d,\d", separator.join(second)) and other != ","
                raise DataRejected(
                    f"{self.name}: looks separated by {word}, not by {separator!r}: set "
                    f"data.csv.separator{' and, for numbers, data.csv.decimal' if comma else ''}"
                )

    def rows(self) -> Iterator[tuple[int, int, list[str]]]:
        """Yield each row that is not blank, with the lines of the file it begins and ends in.

        The header comes first, even when it is blank.
        """
        quoting: Any = {"quotechar": self.dialect.quote} if self.dialect.quote else {}
        if not quoting:
            quoting = {"quoting": csv.QUOTE_NONE}
        encoding = self.dialect.encoding
        encoding = "utf-8-sig" if encoding.lower() in {"utf-8", "utf8"} else encoding
        with self.open() as file, io.TextIOWrapper(file, encoding=encoding, newline="") as text:
            reader = csv.reader(text, delimiter=self.dialect.separator, **quoting)
            before = 0
            for cells in reader:
                if cells or before == 0:
                    yield before + 1, reader.line_num, cells
                before = reader.line_num

    def line_of(self, row: int) -> str:
        """Return in words where a row stands, counted from 0 after the header."""
        try:
            for number, (first, _, _) in enumerate(self.rows(), -1):
                if number == row:
                    return f"line {first:,}"
        except csv.Error:  # a cell too long for it
            pass
        return f"row {row + 1:,}"

    def of_other_length(self) -> DataRejected:
        """Return the error for rows with more or fewer cells than the header."""
        differing, where, wide = 0, "", 0
        try:
            rows = self.rows()
            names = len(next(rows)[2])
            for first, last, cells in rows:
                if len(cells) != names:
                    differing += 1
                    wide += len(cells) > names
                    if not where:
                        s = "s" if len(cells) != 1 else ""
                        where = f"line {first:,}"
                        if first != last:
                            where = f"the row that begins in {where} and goes on to line {last:,}"
                        where += f" has {len(cells)} cell{s}, the header has {names}"
                        if first != last:
                            where += ": is a quote not closed there?"
        except csv.Error:  # a cell too long for it
            where = where or "some rows have another number of cells than the header"
        more = (
            f" (and {differing - 1:,} more row{'s' if differing > 2 else ''})"
            if differing > 1
            else ""
        )
        hint = ""
        if wide == differing > 1 and self.dialect.separator == "," and self.dialect.decimal == ".":
            hint = (
                "; a decimal comma needs another data.csv.separator, a comma in a text needs quotes"
            )
        return DataRejected(f"{self.name}: {where}{more}{hint}")

    def unreadable(self, said: str) -> DataRejected:
        """Return the error for what the parser could not parse; its own words may hold a cell."""
        if "UTF8" in said:
            return self.not_encoded()
        return self._longest_row()

    def not_encoded(self) -> DataRejected:
        """Return the error for bytes that are not text in the encoding."""
        encoding = self.dialect.encoding
        where = ""
        try:
            with self.open() as file:
                for number, line in enumerate(file, 1):
                    try:
                        line.decode(encoding)
                    except UnicodeError:
                        where = f"line {number:,} "
                        break
        except (OSError, EOFError):
            pass  # what cannot be unpacked is reported without its line
        hint = "Latin-1 and Windows files need data.csv.encoding: latin-1 or cp1252"
        return DataRejected(f"{self.name}: {where}is not text in {encoding.upper()}: {hint}")

    def _longest_row(self) -> DataRejected:
        longest, begins = 0, 0
        try:
            for first, last, _ in self.rows():
                if last - first > longest:
                    longest, begins = last - first, first
        except csv.Error:
            pass
        where = f": a quote in line {begins:,} is not closed?" if longest else ""
        return DataRejected(f"{self.name}: is not readable as CSV{where}")

    def refuse_swallowed(self, table: pa.Table) -> None:
        """Refuse a cell that seems to hold rows of the file, because its quote was not closed.

        A quote that is closed some lines later, in the same column, leaves a well-formed row. Its
        cell then holds for each line break as many separators as a row has.

        Raises:
            DataRejected: naming the line in which it opens.
        """
        if self.dialect.quote is None or self.dialect.line_breaks:
            return
        names = next(self.rows())[2]
        for name, column in zip(table.column_names, table.columns, strict=True):
            if not pa.types.is_string(column.type):
                continue
            breaks = pc.count_substring(column, "\n")
            if not pc.max(breaks).as_py():
                continue
            swallowed = pc.greater(breaks, MANY_BREAKS)
            if len(names) > 1:
                separators = pc.count_substring(column, self.dialect.separator)
                is_rows = pc.equal(separators, pc.multiply(breaks, len(names) - 1))
                swallowed = pc.or_(swallowed, pc.and_(pc.greater(breaks, 0), is_rows))
            first = pc.index(swallowed, True).as_py()
            if first < 0 and name == names[-1] and breaks[-1].as_py() and self._is_open_at_end():
                first = len(column) - 1
            if first >= 0:
                lines = breaks[first].as_py() + 1
                raise DataRejected(
                    f"{self.name}: {self.line_of(first)}: a cell of {name!r} goes on for {lines:,} "
                    "lines and seems to hold whole rows: is its quote not closed? Where cells may "
                    "hold such text, set data.csv.line_breaks: true"
                )

    def _is_open_at_end(self) -> bool:
        """Return whether the last quote is never closed: then their number is odd."""
        quotes = 0
        with self.open() as file:
            for line in file:
                quotes += line.count(str(self.dialect.quote).encode())
        return quotes % 2 == 1

    def broken(self, bad_cells: list[BadCells]) -> DataRejected:
        """Return the error that lists all cells that break the contract."""
        if not bad_cells:  # the parser knows better than we do why
            return DataRejected(f"{self.name}: cells are not of the type the contract declares")
        violations = [
            f"{bad.column}: {self.name}: {bad.rows:,} {'cell' if bad.rows == 1 else 'cells'}, the "
            f"first in {self.line_of(bad.first)}, {bad.rule}"
            for bad in bad_cells
        ]
        return refused(violations)
