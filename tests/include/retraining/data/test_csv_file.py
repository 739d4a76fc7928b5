"""Reading one CSV file by its contract, and what is said of one that cannot be read."""

from __future__ import annotations

import datetime as dt
import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pytest

from include.retraining.config.csv_dialect import CsvDialect
from include.retraining.data.column_types import ColumnTypes, all_fitted, declared_types, to_frame
from include.retraining.data.csv_file import read_csv
from include.retraining.data.reading import Reading
from include.retraining.exceptions import DataRejected


class Contract(pandera.DataFrameModel):
    """A column of each type that people declare."""

    id: str
    whole: int
    number: float = pandera.Field(nullable=True)
    word: str = pandera.Field(nullable=True)
    flag: bool
    count: pd.Int64Dtype = pandera.Field(nullable=True)
    day: pd.Timestamp


TYPES = declared_types(Contract.to_schema())


def read(
    tmp_path: Path,
    data: bytes | str,
    types: ColumnTypes | dict[str, Any] | None = TYPES,
    *,
    key: str = "id",
    name: str = "d.csv",
    guessed: frozenset[str] = frozenset(),
    **dialect: Any,
) -> pd.DataFrame:
    """What a file holds, by some types and a dialect."""
    known = types if isinstance(types, ColumnTypes) else declared(types or {})
    reading = Reading("m", known, CsvDialect(**dialect), key, guessed=guessed)
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    table = read_csv(path, name, reading, None)
    return to_frame(all_fitted(table, known), known)


def declared(types: dict[str, Any]) -> ColumnTypes:
    """The types of columns, as a contract declares them."""
    columns = {name: pandera.Column(dtype) for name, dtype in types.items()}
    return declared_types(pandera.DataFrameSchema(columns))


def refusal(tmp_path: Path, data: bytes | str, *arguments: Any, **how: Any) -> str:
    """Why a file is refused."""
    with pytest.raises(DataRejected) as caught:
        read(tmp_path, data, *arguments, **how)
    return str(caught.value)


def test_a_cell_is_what_the_contract_declares(tmp_path: Path):
    """Ids keep their zeros, words that others take for missing are words, an empty cell is none."""
    frame = read(
        tmp_path,
        "id,whole,number,word,flag,count,day,other\n"
        "0012,007,1,NA,True,3,2026-11-24,01\n"
        "12,2, 2.5,null,0,,2026-11-24T10:00:00Z,1.0\n"
        "1E5,-3,,,FALSE,5,9999-12-31,x\n",
    )
    assert frame["id"].tolist() == ["0012", "12", "1E5"]
    assert frame["whole"].tolist() == [7, 2, -3]
    assert frame["number"].tolist()[:2] == [1.0, 2.5]
    assert frame["word"].tolist()[:2] == ["NA", "null"]
    assert frame.isna().sum().to_dict() == {
        **dict.fromkeys(frame.columns, 0), "number": 1, "word": 1, "count": 1
    }  # fmt: skip
    assert frame["flag"].tolist() == [True, False, False]
    assert (frame["count"].dtype, frame["count"].iloc[0]) == (pd.Int64Dtype(), 3)
    assert frame["day"].iloc[1] == pd.Timestamp("2026-11-24T10:00:00")
    assert frame["other"].tolist() == ["01", "1.0", "x"]
    assert [str(dtype) for dtype in frame.dtypes[["whole", "number", "flag"]]] == [
        "int64", "float64", "bool"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("dtype", "cells", "expected"),
    [
        (np.float32, ["0.1", ""], [np.float32(0.1)]),
        (np.int8, ["-128"], [-128]),
        (np.uint64, ["18446744073709551615"], [2**64 - 1]),
        (pd.BooleanDtype(), ["true", ""], [True]),
        (pd.CategoricalDtype(["a", "b"]), ["b", ""], ["b"]),
        (pd.CategoricalDtype([1, 2]), ["2"], [2]),
        (pandera.Date, ["2026-11-24"], [dt.date(2026, 11, 24)]),
        (pandera.Decimal(12, 2), ["1.25"], [Decimal("1.25")]),
        (pd.DatetimeTZDtype("us", "UTC"), ["2026-11-24T10:00:00+01:00"],
         [pd.Timestamp("2026-11-24T09:00:00Z")]),
        (object, ["007"], ["007"]),
    ],
)  # fmt: skip
def test_every_type_has_its_text(tmp_path: Path, dtype: Any, cells: list[str], expected: list[Any]):
    """What a contract may declare can be read from text."""
    rows = "".join(f"{number},{cell}\n" for number, cell in enumerate(cells))
    frame = read(tmp_path, f"id,v\n{rows}", {"v": dtype})
    assert frame["v"].dropna().tolist() == expected
    assert len(frame) == len(cells)


@pytest.mark.parametrize(
    ("dtype", "cell", "words"),
    [
        (pd.Timestamp, "2026-11-24T10:00:00+01:00", "2026-11-24, in UTC or without an offset"),
        (pd.DatetimeTZDtype("us", "Europe/Paris"), "2026-11-24", "no time with an offset, like"),
    ],
)
def test_a_clock_that_a_type_does_not_have_is_told(
    tmp_path: Path, dtype: Any, cell: str, words: str
):
    """A time without an offset is of no zone, and one with an offset is of no clock without one."""
    with pytest.raises(DataRejected, match=words):
        read(tmp_path, f"id,v\n1,{cell}\n", {"v": dtype})


def test_a_float16_is_read(tmp_path: Path):
    """The parser has no half floats; the contract may."""
    assert read(tmp_path, "id,v\n1,0.1\n", {"v": np.float16})["v"].tolist() == [np.float16(0.1)]


def test_the_settings_of_the_dialect_hold(tmp_path: Path):
    """Separator, decimal sign, encoding, quote, missing words and compression are the YAML's."""
    text = "id;number;word\n1;1,5;'Zoë;'\n2;NA;NULL\n"
    frame = read(
        tmp_path,
        gzip.compress(text.encode("cp1252")),
        {"number": float, "word": str},
        name="d.csv.gz",
        separator=";",
        decimal=",",
        encoding="cp1252",
        quote="'",
        missing=("NA", "NULL"),
    )
    assert frame["number"].tolist()[0] == 1.5
    assert frame["word"].tolist()[0] == "Zoë;"
    assert frame[["number", "word"]].isna().sum().tolist() == [1, 1]
    assert read(tmp_path, 'id,v\n1,"a\n', {}, quote=None)["v"].tolist() == ['"a']
    wide = "id,v\n1,é\n".encode("utf-16")
    assert read(tmp_path, wide, {}, encoding="utf-16")["v"].tolist() == ["é"]


def test_a_column_nobody_declares_can_be_a_number(tmp_path: Path):
    """Where only a number is of use, cells that all are numbers become numbers."""
    data = "id,a,b,c\n1,1,1.5,x\n2,,2,1\n"
    frame = read(tmp_path, data, {}, guessed=frozenset("abc"))
    assert [str(dtype) for dtype in frame.dtypes] == ["str", "float64", "float64", "str"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("id,whole\n1,2\n1\n\n1,2\n2\n", "line 3 has 1 cell, the header has 2 (and 1 more row)"),
        ("id,whole\n1,2\n1,2,3\n", "line 3 has 3 cells, the header has 2"),
        ('id,whole,word\n1,2,b\n3,"4,5\n6,7"\n',
         "the row that begins in line 3 and goes on to line 4 has 2 cells, the header has 3: is a"),
        ("id;whole\n1;2\n", "looks separated by ';', not by ',': set data.csv.separator"),
        ("id\twhole\n1\t2\n", r"looks separated by '\t' (a tab)"),
        ("id;number\n1;2,5\n", "and, for numbers, data.csv.decimal"),
        ("sep=;\nid;whole\n1;2\n", "line 1 is Excel's note on the separator"),
        ("# export\nid,whole\n1,2\n", "line 1 does not look like a header: it has 1 cell, line 2"),
        ("1,2\n3,4\n", "line 1 does not look like a header: none of its cells is a column"),
        ("\nid,whole\n1,2\n", "line 1 is blank: the first line must hold the names"),
        ("\n\n", "line 1 is blank"),
        (b"PK\x03\x04rest", "is a zip archive or an Excel workbook (.xlsx): export it as CSV"),
        (gzip.compress(b"id\n1\n", mtime=0), "its name must end in .csv.gz, and data.files"),
        ("id,whole\n1,2\n".encode("utf-16"), "it looks like UTF-16 (set data.csv.encoding"),
        ("id,whole\n1,2\n".encode("utf-16-le"), "it looks like UTF-16 (set data.csv.encoding"),
        (b"id,whole\r\n1,2\r\n2,\x003\r\n", "d.csv: line 3 holds a NUL character (a zero byte)"),
        (b"id,word\n1,\xe9\n", "line 2 is not text in UTF-8: Latin-1 and Windows files need"),
        (b"id,w\xe9rd\n1,a\n", "line 1 is not text in UTF-8"),
        ("id,whole\n1,2,5\n2,3,5\n", "(and 1 more row); a decimal comma needs another"),
        ('id,word\n1,"a\n2,b\n', "line 2: a cell of 'word' goes on for 3 lines"),
    ],
)  # fmt: skip
def test_a_file_of_another_dialect_is_told_by_line_and_setting(
    tmp_path: Path, data: bytes | str, told: str
):
    """Line, counts and the likely setting are named in one line, and no cell."""
    message = refusal(tmp_path, data)
    assert message.startswith("d.csv: ")
    assert told in message
    assert "\n" not in message


def test_a_compressed_file_that_is_cut_is_told(tmp_path: Path):
    """Half of a gzip file is no delivery."""
    data = gzip.compress(b"id,whole\n" + b"1,2\n" * 100_000)[:-9]
    assert refusal(tmp_path, data, name="d.csv.gz") == (
        "d.csv.gz: is not readable as gzip: is it complete?"
    )


def test_cells_of_another_type_are_told_together_by_line_and_never_quoted(tmp_path: Path):
    """Each column with its count and first line; the values are nobody's business."""
    data = (
        "id,whole,number,flag,day\n"
        "1,1,1,True,2026-11-24\n"
        "2,secret,nan,maybe,24.11.2026\n"
        "\n"
        "3,99999999999999999999,1,no,2026-11-24\n"
    )
    whole = "whole: d.csv: 2 cells, the first in line 3, not of type int"
    missing = "where a word means that it is missing, name it in data.csv.missing"
    message = refusal(tmp_path, data)
    assert message == (
        f"the data breaks its contract in 4 ways: (1) {whole}; "
        f"(2) number: d.csv: 1 cell, the first in line 3, not of type float; {missing}; "
        "(3) flag: d.csv: 2 cells, the first in line 3, not of type bool; "
        "(4) day: d.csv: 1 cell, the first in line 3, no date or time like 2026-11-24, "
        "in UTC or without an offset"
    )
    assert refusal(tmp_path, "id,day\n1,2026-11-24\n2,secret\n3,soon\n") == (
        "the data breaks its contract: day: d.csv: 2 cells, the first in line 3, no date or time "
        "like 2026-11-24, in UTC or without an offset"
    )


@pytest.mark.parametrize(
    ("column", "cell", "hint"),
    [
        ("number", '"1,5"', "decimals look written with ',': set data.csv.decimal"),
        (
            "whole",
            "3.0",
            "decimal point, as pandas does where cells are missing: have the producer",
        ),
        ("whole", "NA", "name it in data.csv.missing"),
    ],
)
def test_the_likely_setting_is_named(tmp_path: Path, column: str, cell: str, hint: str):
    """What most of the cells look like says which setting would read them."""
    assert hint in refusal(tmp_path, f"id,{column}\n1,{cell}\n")


def test_a_key_of_whole_numbers_is_never_changed(tmp_path: Path):
    """As a number, 0012 would be 12 and 1E5 another id: the contract must say text."""
    types = {"id": int}
    assert read(tmp_path, "id,v\n12,a\n-3,b\n0,c\n", types)["id"].tolist() == [12, -3, 0]
    for key in ("0012", "+12", "1E5", "12.0", " 12", "9" * 25):
        told = refusal(tmp_path, f"id,v\n7,a\n{key},b\n", types)
        assert "id: d.csv: 1 cell, the first in line 3, of a key of type int" in told
        assert "declare str" in told


@pytest.mark.parametrize("after", [1, 2, 40])
def test_a_quote_that_swallows_rows_is_told(tmp_path: Path, after: int):
    """Opened in one row and closed in a later one, it leaves rows that look well-formed."""
    rows = [f"{number},1,ok,2.5" for number in range(100)]
    rows[50] = '50,1,"ok,2.5'
    rows[50 + after] = f'{50 + after},1,ok",2.5'
    data = "\n".join(["id,whole,word,number", *rows, ""])
    told = refusal(tmp_path, data)
    assert f"line 52: a cell of 'word' goes on for {after + 1} lines" in told
    assert "data.csv.line_breaks: true" in told
    assert len(read(tmp_path, data, line_breaks=True)) == 100 - after


def test_a_text_of_several_lines_is_a_cell(tmp_path: Path):
    """An address or a note may have lines."""
    data = 'id,word,whole\n1,"1, Main Street\nSpringfield",2\n'
    assert read(tmp_path, data)["word"].tolist() == ["1, Main Street\nSpringfield"]


def test_a_header_of_very_many_names_is_read_quickly(tmp_path: Path):
    """The time is proportional to the columns."""
    names = [f"gene_{number}" for number in range(20_000)]
    data = ",".join(["id", *names]) + "\n" + ",".join(["1"] * 20_001) + "\n"
    began = dt.datetime.now(dt.UTC)
    assert read(tmp_path, data, {}).shape == (1, 20_001)
    assert (dt.datetime.now(dt.UTC) - began).total_seconds() < 30
