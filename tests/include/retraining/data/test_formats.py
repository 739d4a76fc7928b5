"""The same rows are the same delivery, whether they come as CSV or as Parquet."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.retraining.config.csv_dialect import CsvDialect
from include.retraining.data.column_types import ColumnTypes, all_fitted, declared_types, to_frame
from include.retraining.data.csv_file import read_csv
from include.retraining.data.labels import class_names, is_class, label_values
from include.retraining.data.reading import Reading
from include.retraining.data.split import key_hashes, key_texts
from include.retraining.data.type_rules import wrong_types
from tests.support.toy_models import make_frame, model_file

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), include_characters="\t"),
    min_size=1,
    max_size=8,
)
WHOLE = {kind: np.iinfo(kind) for kind in ("int8", "int16", "int32", "int64", "uint8", "uint64")}
TIMES = st.datetimes(pd.Timestamp("1700-01-01"), pd.Timestamp("2200-01-01"))
NUMBERS = st.floats(allow_nan=False)
CELLS: dict[str, st.SearchStrategy[Any]] = {
    **{kind: st.integers(int(limit.min), int(limit.max)) for kind, limit in WHOLE.items()},
    "float32": st.floats(allow_nan=False, width=32),
    "float64": st.none() | NUMBERS,
    "bool": st.booleans(),
    "str": st.none() | TEXT | st.sampled_from(["NA", "None", "null", "0012", "1E5", "1.0", " 1"]),
    "Int64": st.none() | st.integers(-(2**63), 2**63 - 1),
    "Int8": st.none() | st.integers(-128, 127),
    "Float64": st.none() | NUMBERS,
    "boolean": st.none() | st.booleans(),
    "datetime64[ns]": st.none() | TIMES,
    "datetime64[us, UTC]": st.none() | TIMES,
    "category": st.none() | st.sampled_from(["a", "b", "NA"]),
}
"""What a contract may declare, with the cells that such a column may hold."""


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Rows with a key and a column of every type."""
    rows = draw(st.integers(2, 6))
    is_text = draw(st.booleans())
    key = TEXT | st.from_regex(r"0{0,2}[0-9]{1,4}", fullmatch=True) if is_text else CELLS["int64"]
    keys = draw(st.lists(key, min_size=rows, max_size=rows, unique=True))
    columns = {"key": pd.Series(keys, dtype="str" if is_text else "int64")}
    for kind, cells in CELLS.items():
        values = draw(st.lists(cells, min_size=rows, max_size=rows))
        columns[kind] = pd.Series(values, dtype=kind)
    return pd.DataFrame(columns)


def read_both(folder: Path, frame: pd.DataFrame, types: ColumnTypes) -> list[pd.DataFrame]:
    """A frame from CSV and from Parquet, as a run reads them."""
    (folder / "d.csv").write_text(frame.to_csv(index=False), encoding="utf-8")
    reading = Reading("m", types, CsvDialect(), "key")
    tables = [
        read_csv(folder / "d.csv", "d.csv", reading, None),
        pq.read_table(io.BytesIO(frame.to_parquet(index=False))),
    ]
    return [to_frame(all_fitted(table, types), types) for table in tables]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(frame=frames())
def test_csv_and_parquet_give_the_same_rows_keys_and_sides(tmp_path: Path, frame: pd.DataFrame):
    """Values, types, keys and their hashes agree for every type that a contract may declare."""
    schema = pandera.DataFrameSchema({
        name: pandera.Column(dtype, nullable=True) for name, dtype in frame.dtypes.items()
    })
    csv, parquet = read_both(tmp_path, frame, declared_types(schema))
    pd.testing.assert_frame_equal(csv, parquet)
    assert wrong_types(csv, schema) == []
    assert key_texts(csv["key"]).equals(key_texts(parquet["key"]))
    assert key_hashes(csv["key"], "s").tolist() == key_hashes(frame["key"], "s").tolist()


@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression"])
def test_csv_and_parquet_give_the_same_predictions_and_scores(make_toy: Any, problem: str):
    """A version trained on either is the same, and so is what it is judged by."""
    toy = make_toy(problem=problem)
    toy.write_model(model_file(problem).replace("id: int", "id: str"))
    frame = make_frame(problem)
    frame["id"] = [f"{number:06d}" for number in frame["id"]]
    found = []
    for as_csv in (True, False):
        toy.deliver(frame, as_csv=as_csv)
        job, report = toy.run()
        table = pq.read_table(io.BytesIO(toy.store.read(job.paths.predictions)))
        assert table.schema.field("key").type in {pa.string(), pa.large_string()}
        found.append((table, report.challenger.metrics, report.holdout, report.split))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("found", "declared"),
    [
        (pa.array([1, 2], pa.int32()), int),
        (pa.array([1.5, None], pa.float32()), float),
        (pa.array([1, 2**53]), float),
        (pa.array([None, None]), str),
        (pa.array([None, None]), float),
        (pa.array(["a", None]).dictionary_encode(), str),
        (pa.array([0, 1], pa.timestamp("us", "UTC")), pd.Timestamp),
        (pa.array([253402214400], pa.timestamp("s")), pd.Timestamp),
        (pa.array([1, None]), pd.Int64Dtype()),
        (pa.array([20000], pa.date32()), pd.Timestamp),
    ],
)
def test_what_fits_without_loss_is_of_the_declared_type(found: pa.Array, declared: Any):
    """Smaller numbers, encoded text, another unit or an empty column need no other contract."""
    schema = pandera.DataFrameSchema({"v": pandera.Column(declared, nullable=True)})
    types = declared_types(schema)
    frame = to_frame(all_fitted(pa.table({"v": found}), types), types)
    assert wrong_types(frame, schema) == []
    assert frame["v"].isna().sum() == found.null_count


@pytest.mark.parametrize(
    ("found", "declared"),
    [
        (pa.array([1.0, 2.0]), int),
        (pa.array([2**53 + 1]), float),
        (pa.array([0.1]), np.float32),
        (pa.array([300]), np.int8),
        (pa.array([1]), str),
        (pa.array(["1"]), int),
        (pa.array([1, 0]), bool),
        (pa.array([0], pa.timestamp("us", "Europe/Paris")), pd.Timestamp),
        (pa.array(["x"]), pd.CategoricalDtype(["a", "b"])),
        (pa.array([[1]]), float),
    ],
)
def test_what_could_lose_something_is_refused(found: pa.Array, declared: Any):
    """A column that would change on the way stays what it is, and its type is wrong."""
    schema = pandera.DataFrameSchema({"v": pandera.Column(declared)})
    types = declared_types(schema)
    frame = to_frame(all_fitted(pa.table({"v": found}), types), types)
    assert wrong_types(frame, schema) == ["v"]


def test_classes_are_one_by_their_canonical_form():
    """1, 1.0, True and the text "1" are one class; where one is a word, all are words."""
    for column in (pd.Series(["1", "0"]), pd.Series([1.0, 0.0]), pd.Series([True, False])):
        assert label_values(column, "binary").tolist() == [1, 0]
        assert is_class(column.to_numpy(), "1").tolist() == [True, False]
    assert label_values(pd.Series(["1", "01", "no"]), "multiclass").tolist() == ["1", "01", "no"]
    assert class_names(["1", 1.0, True, np.str_("x"), "01"]) == (1, 1, 1, "x", "01")


@pytest.mark.fault("F12")
def test_one_letter_in_a_key_moves_no_other_row(tmp_path: Path):
    """Ids of digits stay where they are the day one with a letter comes."""
    ids = [f"{number:07d}" for number in range(300)]
    types = ColumnTypes({"key": None})
    alone, _ = read_both(tmp_path, pd.DataFrame({"key": ids, "a": 1}), types)
    more, _ = read_both(tmp_path, pd.DataFrame({"key": [*ids, "A000001"], "a": 1}), types)
    assert key_hashes(more["key"], "s").tolist()[:-1] == key_hashes(alone["key"], "s").tolist()
