from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.retraining.exceptions import TrainingError
from include.retraining.training.command_files import read_predictions
from include.retraining.training.command_tables import write_table
from include.retraining.training.predictions import Predictions

KINDS = ["arrow", "parquet"]
FACTS: dict[str, dict[str, Any]] = {
    "binary": {"classes": (0, 1), "positive": 1},
    "multiclass": {"classes": ("high", "low", "mid"), "positive": None},
    "regression": {"classes": None, "positive": None},
}


def read_back(path: Path) -> pa.Table:
    """A table as a command reads it."""
    if path.suffix == ".parquet":
        return pq.ParquetFile(path).read()
    return pa.ipc.open_file(path).read_all()


def write(path: Path, table: pa.Table) -> Path:
    """A table as a command writes it."""
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    return path


def predictions(path: Path, problem: str, **columns: Any) -> Predictions:
    """What a table of two rows means."""
    write(path, pa.table({"row": [1, 2], **columns}))
    return read_predictions(path, rows=2, problem=problem, **FACTS[problem])


@pytest.mark.parametrize("kind", KINDS)
def test_columns_keep_their_types_and_their_missing_cells(tmp_path: Path, kind: str):
    """Numbers as wide as they are, words for categories, null for missing, times in their zone."""
    columns = {
        "double": pd.Series([1.5, np.nan], index=[7, 3]),
        "single": np.array([0.1, 2.5], dtype=np.float32),
        "whole": np.array([2**53 + 1, -1], dtype=np.int64),
        "flag": np.array([True, False]),
        "holes": pd.Series([None, True], dtype=object),
        "text": pd.Series(["é", None], dtype=object),
        "kind": pd.Series(["b", "a"], dtype="category"),
        "time": pd.Series(pd.to_datetime(["2026-01-02", None], utc=True)),
    }
    write_table(tmp_path / f"t.{kind}", columns)
    found = read_back(tmp_path / f"t.{kind}")
    assert found.column("double").to_pylist() == [1.5, None]
    assert found.schema.field("single").type == pa.float32()
    assert found.column("whole").to_pylist() == [2**53 + 1, -1]
    assert found.column("flag").to_pylist() == [True, False]
    assert found.column("holes").to_pylist() == [None, True]
    assert found.column("text").to_pylist() == ["é", None]
    assert found.column("kind").to_pylist() == ["b", "a"]
    assert not pa.types.is_dictionary(found.schema.field("kind").type)
    assert found.schema.field("time").type.tz == "UTC"
    assert found.column("time").null_count == 1


def test_cells_of_several_types_are_refused_and_not_shown(tmp_path: Path):
    """Only CSV can hold them; the column is named and no cell is."""
    mixed = {"a": pd.Series(["Smith", 1], dtype=object)}
    with pytest.raises(TrainingError, match=r"tables: column 'a' holds cells of several") as caught:
        write_table(tmp_path / "t.arrow", mixed)
    assert "Smith" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_may_have_any_types_that_mean_the_same(tmp_path: Path, kind: str):
    """Whole or not, single or double, true for the class 1, words as a dictionary."""
    path = tmp_path / f"predictions-1.{kind}"
    yes = pa.array([0.25, 0.75], pa.float32())
    for values in ([0, 1], [0.0, 1.0], [False, True], ["0", "1"]):
        found = predictions(path, "binary", prediction=values, probability=yes)
        assert found.values.tolist() == [0, 1]
        assert found.probabilities.tolist() == [[0.75, 0.25], [0.25, 0.75]]
    words = pa.array(["low", "high"]).dictionary_encode()
    assert predictions(path, "multiclass", prediction=words).values.tolist() == ["low", "high"]
    numbers = predictions(path, "regression", prediction=[0.1, 1e300])
    assert numbers.values.tolist() == [0.1, 1e300]


def test_classes_that_are_words_may_look_like_numbers(tmp_path: Path):
    """Where one class is a word, a number stands for its digits."""
    write(tmp_path / "p.arrow", pa.table({"row": [1], "prediction": [2]}))
    found = read_predictions(
        tmp_path / "p.arrow", rows=1, problem="multiclass", classes=("2", "many"), positive=None
    )
    assert found.values.tolist() == ["2"]


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("binary", {"prediction": [0, None]}, "column prediction: 1 rows are none of the classes 0, 1"),
    ("binary", {"prediction": [None, None]}, "column prediction: 2 rows are none of the classes"),
    ("multiclass", {"prediction": ["low", None]}, "column prediction: 1 rows are none of the cla"),
    ("binary", {"prediction": [0, 1], "probability": [0, 1.01]}, "1 rows are no numbers from 0 to"),
    ("binary", {"prediction": [0, 1], "probability": ["0.5", "x"]}, "1 rows are no numbers from 0"),
    ("binary", {"prediction": [0, 1], "Smith": [0, 1]}, "has 1 columns too many; allowed: row, "),
    ("binary", {"prediction": [[0], [1]]}, "column prediction: is of type list<"),
    ("binary", {"answer": [0, 1]}, "must have one column 'prediction', has 0"),
    ("regression", {"prediction": [1.0, float("inf")]}, "column prediction: 1 rows are no finite"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("problem", "columns", "message"), REFUSED)
def test_an_answer_that_is_not_one_for_each_row_is_refused(
    tmp_path: Path, kind: str, problem: str, columns: dict[str, Any], message: str
):
    """As in CSV: column, count of rows and rule are named, and never a cell."""
    with pytest.raises(ValueError, match=rf"^predictions-1\.{kind} ") as caught:
        predictions(tmp_path / f"predictions-1.{kind}", problem, **columns)
    assert message in str(caught.value)
    assert "Smith" not in str(caught.value)


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path):
    """Arrow allows that; which of them was meant is not guessed."""
    table = pa.table([pa.array([1]), pa.array([0]), pa.array([1])], ["row"] + 2 * ["prediction"])
    write(tmp_path / "p.arrow", table)
    with pytest.raises(ValueError, match=r"must have one column 'prediction', has 2"):
        read_predictions(tmp_path / "p.arrow", rows=1, problem="binary", **FACTS["binary"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", ["empty", "text", "half"])
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, kind: str, damage: str):
    """Nothing, something else, or only its first half: without the parser's own words."""
    path = tmp_path / f"p.{kind}"
    write(path, pa.table({"row": range(1, 1001), "prediction": [0, 1] * 500}))
    whole = path.read_bytes()
    path.write_bytes(
        {"empty": b"", "text": b"row,prediction\n", "half": whole[: len(whole) // 2]}[damage]
    )
    with pytest.raises(ValueError, match=rf"^p\.{kind} is not readable as .*: was it written to"):
        read_predictions(path, rows=1000, problem="binary", **FACTS["binary"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_category_of_numbers_may_have_a_missing_cell(tmp_path: Path, kind: str):
    """Its cells are numbers and null, as its docs say."""
    cells = pd.Series([1, None, 2], dtype=pd.CategoricalDtype([1, 2]))
    path = tmp_path / f"rows.{kind}"
    write_table(path, {"grade": cells})
    assert read_back(path)["grade"].to_pylist() == [1, None, 2]


def test_csv_reads_back_as_it_was_written(tmp_path: Path):
    """A line end within a cell is quoted, true is 1, and a single has the digits of its double."""
    path = tmp_path / "rows.csv"
    cells = {
        "text": pd.Series(["x\ry", "c\nd", "e\r\nf"], dtype=object),
        "yes": pd.Series([True, False, None], dtype="category"),
        "single": pd.Series([0.1, None, 2.5], dtype="Float32"),
    }
    write_table(path, cells)
    assert path.read_bytes() == (
        b'text,yes,single\n"x\ry",1,0.10000000149011612\n"c\nd",0,\n"e\r\nf",,2.5\n'
    )
    with path.open(encoding="utf-8", newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["text", *cells["text"]]
