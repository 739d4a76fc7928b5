from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.retraining.training.command_files import read_predictions, write_task
from include.retraining.training.command_tables import write_table
from include.retraining.training.predictions import Predictions


def test_a_task_is_flat_json_with_its_format(tmp_path: Path):
    """A script in any language finds the version of the interface, and text as it is."""
    write_task(tmp_path, 1, {"task": "train", "features": ["é", "b"]})
    text = (tmp_path / "task.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"format": 1, "task": "train", "features": ["é", "b"]}
    assert "é" in text


def test_numbers_in_a_table_read_back_exactly(tmp_path: Path):
    """Doubles, single precision, whole numbers: what is read is what was meant, bit for bit."""
    random = np.random.default_rng(1)
    doubles = np.concatenate([random.normal(size=200), [5e-324, 1.7976931348623157e308, 0.1]])
    singles = random.normal(size=203).astype(np.float32)
    whole = np.array([2**53 + 1] * len(doubles), dtype=np.int64)
    write_table(tmp_path / "t.csv", {"d": doubles, "s": singles, "w": whole})
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["d"]) for row in rows] == doubles.tolist()
    assert [float(row["s"]) for row in rows] == singles.astype(np.float64).tolist()
    assert [int(row["w"]) for row in rows] == whole.tolist()


def test_cells_of_other_kinds_are_written_plainly(tmp_path: Path):
    """Missing is empty, yes and no are 1 and 0, text is quoted where it must be, dates are ISO."""
    columns = {
        "number": pd.Series([1.5, np.nan], index=[7, 3]),
        "flag": np.array([True, False]),
        "holes": pd.Series([None, True], dtype=object),
        "text": pd.Series(['a "b", c', None], dtype=object),
        "day": pd.to_datetime(
            pd.Series(["2026-01-02", "2026-01-03 04:05:06.5"], dtype=object), format="mixed"
        ),
    }
    write_table(tmp_path / "t.csv", columns)
    assert (tmp_path / "t.csv").read_text() == (
        "number,flag,holes,text,day\n"
        '1.5,1,,"a ""b"", c",2026-01-02T00:00:00.000000\n'
        ",0,1,,2026-01-03T04:05:06.500000\n"
    )


FACTS: dict[str, dict[str, Any]] = {
    "binary": {"classes": (0, 1), "positive": 1},
    "multiclass": {"classes": ("high", "low", "mid"), "positive": None},
    "regression": {"classes": None, "positive": None},
}


def read(folder: Path, text: str | bytes, problem: str = "binary", rows: int = 2) -> Predictions:
    """What a file of predictions means."""
    path = folder / "predictions.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_predictions(path, rows=rows, problem=problem, **FACTS[problem])


def test_rows_may_come_in_any_order_and_columns_too(tmp_path: Path):
    """A prediction belongs to the row whose number it bears."""
    found = read(tmp_path, "probability,row,prediction\n0.25,2,0\n0.75,1,1\n")
    assert found.values.tolist() == [1, 0]
    assert found.probabilities.tolist() == [[0.25, 0.75], [0.75, 0.25]]
    assert found.classes == (0, 1)


def test_ways_to_write_the_same_are_the_same(tmp_path: Path):
    """Quotes, a byte order mark, Windows' ends of lines, 1.0 for 1 and 1e+05 for 100000."""
    text = '\ufeff"row","prediction"\r\n"1","1.0"\r\n"2.0","0"\r\n'
    assert read(tmp_path, text).values.tolist() == [1, 0]
    many = "row,prediction\n" + "".join(f"{n},0\n" for n in range(1, 100_000)) + "1e+05,1\n"
    assert read(tmp_path, many, rows=100_000).values[-1] == 1


def test_a_positive_class_that_comes_first_keeps_its_probability(tmp_path: Path):
    """The one probability of a binary problem is that of the positive class, wherever it stands."""
    (tmp_path / "predictions.csv").write_text("row,prediction,probability\n1,0,0.9\n")
    found = read_predictions(
        tmp_path / "predictions.csv", rows=1, problem="binary", classes=(0, 1), positive=0
    )
    assert np.allclose(found.probabilities, [[0.9, 0.1]])


def test_several_classes_have_a_column_each(tmp_path: Path):
    """Probabilities are put in the order of the classes."""
    header = "row,prediction,probability_mid,probability_high,probability_low\n"
    found = read(tmp_path, header + "1,mid,0.5,0.3,0.2\n", "multiclass", rows=1)
    assert found.values.tolist() == ["mid"]
    assert found.probabilities.tolist() == [[0.3, 0.2, 0.5]]


@pytest.mark.parametrize("problem", ["binary", "multiclass"])
def test_probabilities_are_not_required(tmp_path: Path, problem: str):
    """A classifier without probabilities has none; the metrics that need them say so."""
    name = FACTS[problem]["classes"][0]
    found = read(tmp_path, f"row,prediction\n1,{name}\n", problem, rows=1)
    assert found.probabilities is None
    assert found.values.tolist() == [name]


def test_a_number_is_read_to_the_last_bit(tmp_path: Path):
    """A regression's prediction is the very number that was written."""
    numbers = np.random.default_rng(2).normal(size=100)
    lines = "".join(f"{n},{float(x)!r}\n" for n, x in enumerate(numbers, 1))
    found = read(tmp_path, "row,prediction\n" + lines, "regression", rows=100)
    assert found.values.tolist() == numbers.tolist()


HEADER = "row,prediction,probability_high,probability_low,probability_mid\n"
REFUSED = [
    ("binary", "", "must have one column 'row', has 0"),
    ("binary", "1,0\n2,1\n", "must have one column 'row', has 0"),
    ("binary", "row,prediction,prediction\n1,0,0\n2,0,0\n", "one column 'prediction', has 2"),
    ("binary", "row,prediction,chance\n1,0,1\n2,0,1\n", "has 1 columns too many; allowed: row, "),
    ("binary", "row,prediction\n1,0\n", "has 1 rows, must have one for each of the 2 rows"),
    ("binary", "row,prediction\n1,0\n2,0\n3,0\n", "has 3 rows, must have one for each of the 2"),
    ("binary", "row,prediction\n1,0\n1,0\n", "column row: 1 rows name a row that another one"),
    ("binary", "row,prediction\n0,0\n3,0\n", "column row: 2 rows are no numbers from 1 to 2"),
    ("binary", "row,prediction\n1.5,0\n,0\n", "column row: 2 rows are no numbers from 1 to 2"),
    ("binary", "row,prediction\n1,0\n2,0,7\n", "rows of another length"),
    ("binary", 'row,prediction\n1,0\n2,"0\n', "not readable as CSV"),
    (
        "binary",
        "row,prediction\n1,\n2,0\n",
        "column prediction: 1 rows are none of the classes 0, 1",
    ),
    ("binary", "row,prediction\n1,yes\n2,2\n", "column prediction: 2 rows are none of the classes"),
    ("binary", "row,prediction\n1,NaN\n2,0\n", "column prediction: 1 rows are none of the classes"),
    ("binary", "row,prediction,probability\n1,0,nan\n2,0,\n", "column probability: 2 rows are no"),
    (
        "binary",
        "row,prediction,probability\n1,0,1.01\n2,0,1\n",
        "probability: 1 rows are no numbers",
    ),
    (
        "binary",
        "row,prediction,probability\n1,0,-1e-9\n2,0,1\n",
        "1 rows are no numbers from 0 to 1",
    ),
    ("multiclass", "row,prediction\n1,high\n2,1\n", "are none of the classes high, low, mid"),
    (
        "multiclass",
        "row,prediction,probability_low\n1,low,1\n2,low,1\n",
        "all or none of the columns probability_high, probability_low, probability_mid",
    ),
    (
        "multiclass",
        HEADER + "1,low,0.1,0.5,0.4\n2,low,0.5,0.5,0.5\n",
        "1 rows do not add up to 1",
    ),
    (
        "regression",
        "row,prediction\n1,inf\n2,x\n",
        "column prediction: 2 rows are no finite numbers",
    ),
    ("regression", "row,prediction,probability\n1,1,1\n2,1,1\n", "has 1 columns too many"),
]


@pytest.mark.parametrize(("problem", "text", "message"), REFUSED)
def test_predictions_that_are_not_one_for_each_row_are_refused(
    tmp_path: Path, problem: str, text: str, message: str
):
    """The column, the count of rows and the rule are named."""
    with pytest.raises(ValueError, match=r"^predictions\.csv ") as caught:
        read(tmp_path, text, problem)
    assert message in str(caught.value)


def test_an_error_holds_no_cell_of_the_file(tmp_path: Path):
    """What a command wrote may be personal: it is counted, never quoted."""
    for text in (
        "Smith,secret\n1,0\n",
        "row,prediction,Smith\n1,0,0\n2,0,0\n",
        "row,prediction\nSmith,0\n2,0\n",
        "row,prediction\n1,Smith\n2,0\n",
        "row,prediction,probability\n1,0,Smith\n2,0,0\n",
        'row,prediction\n1,0\n2,"Smith\n',
        "row,prediction\n1,0\n2,0,Smith\n",
    ):
        with pytest.raises(ValueError, match=r"^predictions\.csv ") as caught:
            read(tmp_path, text)
        assert "Smith" not in str(caught.value)


def test_text_that_is_not_utf_8_is_refused(tmp_path: Path):
    """Latin letters in another encoding are not guessed at."""
    with pytest.raises(ValueError, match="is not text in UTF-8"):
        read(tmp_path, b"row,prediction\n1,0\n2,\xe9\n")


@pytest.mark.parametrize("kind", ["nothing", "folder", "link", "pipe"])
def test_predictions_that_are_no_file_are_not_there(tmp_path: Path, kind: str):
    """A folder, a link or a pipe under the name is not read, and cannot block."""
    path = tmp_path / "predictions.csv"
    (tmp_path / "other").write_text("row,prediction\n1,0\n2,0\n")
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "other")
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(ValueError, match=r"predictions\.csv was not written"):
        read_predictions(path, rows=2, problem="binary", **FACTS["binary"])
