from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.retraining.config.csv_dialect import CsvDialect
from include.retraining.config.model_code import ModelCode
from include.retraining.data import csv_file, dataset
from include.retraining.data.column_types import ColumnTypes
from include.retraining.data.dataset import read_dataset
from include.retraining.data.delivery import pin_delivery
from include.retraining.data.reading import Reading, reading_of
from include.retraining.data.type_rules import type_hint, type_rule
from include.retraining.exceptions import DataChanged, DataRejected, DeliveryError
from include.retraining.fingerprint.pinned import Delivery
from include.retraining.store.object_store import Store
from tests.support import apples
from tests.support.apples import DAY, FLAG, FOLDER

READING = Reading("apples", ColumnTypes({}), CsvDialect(), "apple_id")
"""Nothing is declared: CSV is text."""


class Apples(pandera.DataFrameModel):
    """Types only."""

    apple_id: int
    sold: int
    weight: float
    colour: int
    origin: str
    note: str = pandera.Field(nullable=True)


APPLES = reading_of(apples.config(), ModelCode(Apples, ("weight", "colour"), None))


def land(store: Store, files: dict[str, bytes]) -> Delivery:
    """Deliver and pin files."""
    for name, data in files.items():
        store.write(f"{FOLDER}/{name}", data)
    store.write(FLAG, b"")
    return pin_delivery(store, apples.config(), DAY)


def path_of(store: Store, name: str) -> Path:
    """Where a delivered file lies on disk."""
    path = store.local_path(f"{FOLDER}/{name}")
    assert path is not None
    return path


def rejection(store: Store, files: dict[str, bytes], columns: list[str] | None = None) -> str:
    """Why a delivery cannot be read."""
    delivery = land(store, files)
    with pytest.raises(DataRejected) as caught:
        read_dataset(store, delivery, READING, columns)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_a_delivery_is_read_as_it_was_written(any_store: Store, name: str):
    """Values, column order and types survive either format, and the index counts from 0."""
    frame = apples.harvest()
    apples.deliver(any_store, frame, name=name)
    read = read_dataset(any_store, pin_delivery(any_store, apples.config(), DAY), APPLES)
    assert list(read.columns) == list(frame.columns)
    assert read.index.equals(pd.RangeIndex(len(frame)))
    pd.testing.assert_frame_equal(read, frame.convert_dtypes().astype(read.dtypes))


@pytest.mark.parametrize("name", ["{}.csv", "{}.parquet"])
def test_many_files_are_one_frame(any_store: Store, name: str):
    """Rows come in the order of the files' names, whatever order the columns have."""
    frame = apples.harvest(90)
    parts = [frame[60:], frame[:30], frame[30:60][frame.columns[::-1]]]
    files = {}
    for number, part in zip((3, 1, 2), parts, strict=True):
        as_csv = part.to_csv(index=False).encode()
        as_parquet = part.to_parquet(index=False)
        files[name.format(f"part-{number}")] = as_csv if name.endswith("csv") else as_parquet
    read = read_dataset(any_store, land(any_store, files), APPLES)
    assert read["apple_id"].tolist() == list(range(90))
    assert read["weight"].tolist() == frame["weight"].tolist()
    assert read.index.equals(pd.RangeIndex(90))


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_only_wanted_columns_are_read_in_the_order_they_are_wanted(folder_store: Store, name: str):
    """A step that needs two columns gets two."""
    apples.deliver(folder_store, name=name)
    delivery = pin_delivery(folder_store, apples.config(), DAY)
    read = read_dataset(folder_store, delivery, READING, ["weight", "apple_id"])
    assert list(read.columns) == ["weight", "apple_id"]


def test_an_index_in_parquet_is_a_column(folder_store: Store):
    """What pandas would take as the index is data like any other."""
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=pd.Index([5, 6], name="apple_id"))
    delivery = land(folder_store, {"data.parquet": frame.to_parquet()})
    assert set(read_dataset(folder_store, delivery, READING).columns) == {"a", "apple_id"}


@pytest.mark.fault("A05")
@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
@pytest.mark.parametrize("changed", [b"other content", b""])
def test_a_file_that_changed_is_never_parsed(any_store: Store, name: str, changed: bytes):
    """Size and SHA-256 are those that were pinned, or nothing is read (A05)."""
    apples.deliver(any_store, name=name)
    delivery = pin_delivery(any_store, apples.config(), DAY)
    any_store.write(f"{FOLDER}/{name}", changed)
    with pytest.raises(DataChanged, match=rf"data changed during the run: {name}: it has \d+"):
        read_dataset(any_store, delivery, READING)


@pytest.mark.fault("A05")
def test_one_flipped_bit_is_noticed(any_store: Store):
    """A change that keeps the size is told by the content."""
    apples.deliver(any_store)
    delivery = pin_delivery(any_store, apples.config(), DAY)
    data = bytearray(any_store.read(f"{FOLDER}/data.csv"))
    data[len(data) // 2] ^= 1
    any_store.write(f"{FOLDER}/data.csv", bytes(data))
    with pytest.raises(DataChanged, match="SHA-256 differs"):
        read_dataset(any_store, delivery, READING)


@pytest.mark.fault("A05")
def test_a_file_that_is_gone_is_told(any_store: Store):
    """A pinned file that was removed is a change of the data."""
    apples.deliver(any_store)
    delivery = pin_delivery(any_store, apples.config(), DAY)
    any_store.delete(f"{FOLDER}/data.csv")
    with pytest.raises(DataChanged, match=r"data\.csv: it is gone"):
        read_dataset(any_store, delivery, READING)


def test_a_wrong_digest_from_the_producer_is_told(any_store: Store):
    """A producer's own digest is a pin like any other: content that differs is not read."""
    any_store.write(f"{FOLDER}/data.csv", b"a\n1\n")
    listed = '{"files": [{"name": "data.csv", "size": 4, "sha256": "%s"}]}' % ("0" * 64)
    any_store.write(f"{FOLDER}/delivery.json", listed.encode())
    config = apples.config({"trigger.flag": f"{FOLDER}/delivery.json"})
    with pytest.raises(DataChanged, match="SHA-256 differs"):
        read_dataset(any_store, pin_delivery(any_store, config, DAY), READING)


@pytest.mark.fault("A05")
@pytest.mark.parametrize("how", ["rewritten", "replaced"])
def test_a_file_swapped_between_hashing_and_parsing_is_noticed(
    folder_store: Store, monkeypatch: pytest.MonkeyPatch, how: str
):
    """The bytes that were hashed are the bytes that are parsed."""
    apples.deliver(folder_store)
    delivery = pin_delivery(folder_store, apples.config(), DAY)
    path = path_of(folder_store, "data.csv")
    other = path.read_bytes().replace(b"north", b"south")
    read_csv = csv_file.read_csv

    def swap_then_read(*arguments: Any) -> pa.Table:
        if how == "rewritten":
            path.write_bytes(other)
        else:
            path.with_suffix(".new").write_bytes(other)
            path.with_suffix(".new").replace(path)
        return read_csv(*arguments)

    monkeypatch.setattr(dataset, "read_csv", swap_then_read)
    with pytest.raises(DataChanged, match="written to while it was read"):
        read_dataset(folder_store, delivery, READING)


def test_a_link_put_in_place_of_a_file_is_refused(folder_store: Store, tmp_path: Path):
    """A pinned file that became a link is not followed, even to the same content."""
    apples.deliver(folder_store)
    delivery = pin_delivery(folder_store, apples.config(), DAY)
    path = path_of(folder_store, "data.csv")
    path.rename(tmp_path / "moved.csv")
    path.symlink_to(tmp_path / "moved.csv")
    with pytest.raises(DeliveryError, match="symbolic link"):
        read_dataset(folder_store, delivery, READING)


def test_a_download_leaves_nothing_behind(
    s3_bucket: str, s3_options: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The copy of a remote file is gone once it is read, and when it cannot be read."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = Store(f"s3://{s3_bucket}", s3_options)
    apples.deliver(store)
    delivery = pin_delivery(store, apples.config(), DAY)
    read_dataset(store, delivery, READING)
    with pytest.raises(DataRejected):
        read_dataset(store, delivery, READING, ["no such column"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"d.csv": b"a,b,a\n1,2,3\n"}, "d.csv: columns 1 and 3 have the same name"),
        ({"d.csv": b",b\n0,1\n"}, "d.csv: column 1 has no name"),
        ({"a.csv": b"a,b\n1,2\n", "b.csv": b"a,c\n1,2\n"}, "b.csv: its columns are not those of a"),
        ({"d.parquet": b"not parquet at all"}, "d.parquet: is not readable as Parquet"),
        ({"d.parquet": b"PAR1"}, "d.parquet: is not readable as Parquet"),
    ],
)
def test_what_cannot_be_parsed_is_told(folder_store: Store, files: dict[str, bytes], message: str):
    """The file and the reason are named in one line."""
    assert message in rejection(folder_store, files)


@pytest.mark.parametrize("name", ["d.csv", "d.parquet"])
def test_far_too_many_columns_are_refused_by_their_number(
    folder_store: Store, monkeypatch: pytest.MonkeyPatch, name: str
):
    """A header of a million names is told at once, instead of holding the step to its end."""
    assert csv_file.MAX_COLUMNS == 100_000
    monkeypatch.setattr(csv_file, "MAX_COLUMNS", 3)
    data = b"a,b,c,d\n1,2,3,4\n"
    if name == "d.parquet":
        data = parquet(pa.table({column: [1] for column in "abcd"}))
    message = rejection(folder_store, {name: data})
    assert message.startswith(f"{name}: has 4 columns, allowed are 3: is its first line a header")


def test_of_files_with_other_columns_those_of_the_contract_are_named(folder_store: Store):
    """It is told which file lacks what; unknown names are counted, as they may be cells."""
    reading = Reading("apples", ColumnTypes(dict.fromkeys(["apple_id", "sold"])), CsvDialect(), "x")
    files = {"1.csv": b"apple_id,sold\n1,1\n", "2.csv": b"apple_id,Jane\n2,0\n"}
    unknown = "1 column that the contract does not know"
    with pytest.raises(DataRejected) as refused:
        read_dataset(folder_store, land(folder_store, files), reading)
    told = "2.csv: its columns are not those of 1.csv: "
    assert str(refused.value) == f"{told}it lacks sold; 1.csv lacks {unknown}"
    files["2.csv"] = b"apple_id,sold,Jane\n2,0,0\n"
    with pytest.raises(DataRejected) as refused:
        read_dataset(folder_store, land(folder_store, files), reading)
    assert str(refused.value) == f"{told}1.csv lacks {unknown}"


def test_a_truncated_parquet_file_is_told(folder_store: Store):
    """A file that lost its end is refused."""
    data = apples.harvest().to_parquet()
    assert "is not readable as Parquet" in rejection(folder_store, {"d.parquet": data[:-20]})


def parquet(table: pa.Table, **how: Any) -> bytes:
    """A table as the bytes of a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **how)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def test_damage_inside_a_parquet_file_is_told_with_column_and_rows(folder_store: Store):
    """Bytes that were overwritten are found in their column and group of rows."""
    table = pa.table({"a": range(300), "b": [f"word {number}" for number in range(300)]})
    data = bytearray(parquet(table, row_group_size=100, compression="none", use_dictionary=False))
    start = pq.read_metadata(pa.BufferReader(bytes(data))).row_group(1).column(1).data_page_offset
    data[start : start + 40] = b"\xff" * 40
    message = rejection(folder_store, {"d.parquet": bytes(data)})
    where = "d.parquet: column 'b', rows 101 to 200: is not readable as Parquet: it is damaged"
    assert message == where


def test_an_encrypted_parquet_file_is_told(folder_store: Store):
    """A footer that only a key opens is no reason to try again."""
    data = bytearray(parquet(pa.table({"a": [1]})))
    data[:4] = data[-4:] = b"PARE"
    message = rejection(folder_store, {"d.parquet": bytes(data)})
    assert message.startswith("d.parquet: is not readable as Parquet: it is encrypted")


@pytest.mark.parametrize("make", [pa.array, lambda texts: pa.array(texts).dictionary_encode()])
def test_text_in_parquet_that_is_not_utf_8_is_told(folder_store: Store, make: Any):
    """The first such row is named, where the column is plain, before anything is trained."""
    latin = make(["a", "b", "xyz"])
    words = latin.dictionary if pa.types.is_dictionary(latin.type) else latin
    buffers = [words.buffers()[0], words.buffers()[1], pa.py_buffer(b"abcaf\xe9")]
    offsets = pa.py_buffer(np.array([0, 1, 2, 6], dtype=np.int32).tobytes())
    broken = pa.Array.from_buffers(pa.string(), 3, [None, offsets, buffers[2]])
    if words is not latin:
        broken = pa.DictionaryArray.from_arrays(latin.indices, broken)
    files = {"d.parquet": parquet(pa.table({"id": [1, 2, 3], "city": broken}))}
    message = rejection(folder_store, files)
    assert message.startswith("d.parquet: column 'city': is not text in UTF-8 in row 3")


def test_a_disk_that_fails_is_not_the_fault_of_the_file(
    folder_store: Store, monkeypatch: pytest.MonkeyPatch
):
    """An error of the system keeps its number and is not told as damage."""

    def fail(*arguments: Any, **how: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    delivery = land(folder_store, {"d.parquet": parquet(pa.table({"a": [1]}))})
    monkeypatch.setattr(pq.ParquetFile, "read", fail)
    with pytest.raises(OSError, match="Input/output error"):
        read_dataset(folder_store, delivery, READING)


def test_a_repeated_parquet_column_is_told(folder_store: Store):
    """Parquet can name a column twice as well."""
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    message = rejection(folder_store, {"d.parquet": sink.getvalue().to_pybytes()})
    assert "d.parquet: columns 1 and 2 have the same name" in message


@pytest.mark.parametrize(
    "data", [b"a,b\n1,2\n", pd.DataFrame({"a": [1], "b": [2]}).to_parquet()], ids=["csv", "parquet"]
)
def test_a_wanted_column_that_is_missing_is_told(folder_store: Store, data: bytes):
    """A step names the column it cannot find."""
    name = "d.csv" if data.startswith(b"a") else "d.parquet"
    assert "lacks the column 'c'" in rejection(folder_store, {name: data}, ["a", "c"])


def test_files_that_disagree_on_a_type_are_told(folder_store: Store):
    """Text in one file and numbers in the next are no column."""
    files = {
        "1.parquet": pd.DataFrame({"a": [1, 2]}).to_parquet(),
        "2.parquet": pd.DataFrame({"a": ["x", "y"]}).to_parquet(),
    }
    assert "disagree on a column's type" in rejection(folder_store, files)


def test_a_byte_order_mark_is_no_part_of_a_name(folder_store: Store):
    """A CSV written by Excel starts with a mark that is not data."""
    delivery = land(folder_store, {"d.csv": b"\xef\xbb\xbfa,b\n1,2\n"})
    assert list(read_dataset(folder_store, delivery, READING).columns) == ["a", "b"]
    assert read_dataset(folder_store, delivery, READING, ["a"])["a"].tolist() == ["1"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_part_without_rows_adds_none_and_a_delivery_without_rows_says_so(
    folder_store: Store, ending: str
):
    """A header alone changes no type, and is no delivery."""
    frame = apples.harvest(60)
    files = {}
    for name, part in {"1": frame.head(0).astype(object), "2": frame}.items():
        written = part.to_csv(index=False).encode() if ending == "csv" else part.to_parquet()
        files[f"{name}.{ending}"] = written
    read = read_dataset(folder_store, land(folder_store, files), APPLES)
    assert read["weight"].tolist() == frame["weight"].tolist()
    folder_store.delete(f"{FOLDER}/2.{ending}")
    with pytest.raises(DataRejected, match="the delivery has no rows"):
        read_dataset(folder_store, pin_delivery(folder_store, apples.config(), DAY), APPLES)


def test_a_decimal_is_named_as_such(folder_store: Store):
    """What pandas would make objects of is still of its type when the contract looks at it."""
    frame = apples.harvest(3)
    table = pa.Table.from_pandas(frame)
    at = table.column_names.index("weight")
    table = table.set_column(at, "weight", table.column("weight").cast(pa.decimal128(12, 2)))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    files = {"d.parquet": sink.getvalue().to_pybytes()}
    read = read_dataset(folder_store, land(folder_store, files), APPLES)
    declared = Apples.to_schema().columns["weight"].dtype
    said = type_rule(declared, read["weight"]) + type_hint(declared, read["weight"])
    assert said == (
        "must be of type float, is decimal(12, 2): declare a decimal, or have the producer write a "
        "double"
    )
