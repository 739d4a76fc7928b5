"""The files through which a command in another language is asked and answers.

docs/any-language.md describes them like an API.
"""

from __future__ import annotations

import csv
import json
import stat
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.retraining.config.command_protocol import (
    FORMAT,
    PREDICTION,
    PREDICTIONS_FILE,
    PROBABILITY,
    ROW,
    TASK_FILE,
)
from include.retraining.data.arrays import Column, Labels, Numbers, Positions, RowMask
from include.retraining.data.labels import Class, class_names
from include.retraining.training.prediction_checks import add_up, are_chances
from include.retraining.training.predictions import Predictions


def write_task(folder: Path, task: Mapping[str, Any]) -> None:
    """Write what a command is asked to do, as JSON."""
    text = json.dumps({"format": FORMAT, **task}, ensure_ascii=False, indent=2, allow_nan=False)
    (folder / TASK_FILE).write_text(text + "\n", encoding="utf-8")


def write_table(path: Path, columns: Mapping[str, pd.Series[Any] | Column]) -> None:
    """Write columns as CSV: missing cells empty, numbers so that they read back exactly."""
    frame = pd.DataFrame({name: _plain(pd.Series(cells)) for name, cells in columns.items()})
    frame.to_csv(path, index=False, lineterminator="\n", date_format="%Y-%m-%dT%H:%M:%S.%f%z")


def _plain(cells: pd.Series[Any]) -> pd.Series[Any]:
    """Return cells as whole numbers where they are true or false, as doubles where less exact."""
    cells = cells.reset_index(drop=True)
    if pd.api.types.infer_dtype(cells, skipna=True) == "boolean":
        return cells.astype("boolean").astype("Int64")
    if isinstance(cells.dtype, np.dtype) and cells.dtype.kind == "f":
        # The shortest text of a float32 is that of another double.
        return cells.astype(np.float64)
    return cells


def probability_columns(problem: str, classes: Sequence[Class] | None) -> list[str]:
    """Return the names of the columns that may hold probabilities."""
    if problem == "binary":
        return [PROBABILITY]
    return [f"{PROBABILITY}_{name}" for name in classes or ()]


def read_predictions(
    path: Path,
    *,
    rows: int,
    problem: str,
    classes: tuple[Class, ...] | None,
    positive: Class | None,
) -> Predictions:
    """Read what a command predicts, and refuse what is not one prediction for each row.

    Args:
        path: the file that it had to write.
        rows: how many rows it had to predict.
        problem: `binary`, `multiclass` or `regression`.
        classes: for a classifier, the classes it was trained with.
        positive: for a binary problem, the class whose probability it gives.

    Raises:
        ValueError: naming file, column, count of rows and rule; never a value.
    """
    table = _read(path, probability_columns(problem, classes))
    if len(table) != rows:
        raise _error(f"has {len(table):,} rows, must have one for each of the {rows:,} rows")
    order = _positions(table[ROW], rows)
    values = _values(table[PREDICTION], classes)[order]
    if problem == "regression":
        return Predictions(values, None, None)
    names = [name for name in probability_columns(problem, classes) if name in table]
    if not names:
        return Predictions(values, None, classes)
    chances = np.column_stack([_chances(table[name]) for name in names])[order]
    if problem == "binary":
        (wanted,) = class_names([positive])
        is_positive = np.array([name == wanted for name in class_names(classes or ())])
        chances = np.where(is_positive, chances, 1 - chances)
    _count(~add_up(chances), PROBABILITY + "_…", "do not add up to 1")
    return Predictions(values, chances, classes)


def _read(path: Path, optional: list[str]) -> pd.DataFrame:
    """Return the file's cells as text, its header checked."""
    if not path.exists() or not stat.S_ISREG(path.lstat().st_mode):
        raise _error("was not written")
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            header = next(csv.reader(text, strict=True), [])
        _check_header(header, optional)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                path, encoding="utf-8-sig", dtype=object, na_filter=False, index_col=False
            )
    except UnicodeDecodeError as error:
        raise _error("is not text in UTF-8") from error
    except (csv.Error, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        # Without the parser's own words: they may hold cells.
        raise _error("is not readable as CSV, or has rows of another length") from error


def _check_header(header: list[str], optional: list[str]) -> None:
    for name in (ROW, PREDICTION):
        if header.count(name) != 1:
            raise _error(f"must have one column {name!r}, has {header.count(name)}")
    chances = [name for name in header if name in optional]
    if chances and sorted(chances) != sorted(optional):
        raise _error(f"must have all or none of the columns {', '.join(optional)}")
    more = len(header) - 2 - len(chances)
    if more:
        allowed = ", ".join([ROW, PREDICTION, *optional])
        raise _error(f"has {more} columns too many; allowed: {allowed}")


def _positions(cells: pd.Series[Any], rows: int) -> Positions:
    """Return for each row in order where in the file it stands."""
    numbers = _numbers(cells)
    is_known = (numbers >= 1) & (numbers <= rows) & (numbers % 1 == 0)
    _count(~is_known, ROW, f"are no numbers from 1 to {rows:,}")
    order = np.argsort(numbers, kind="stable")
    _count(np.diff(numbers[order]) == 0, ROW, "name a row that another one names")
    return order


def _values(cells: pd.Series[Any], classes: tuple[Class, ...] | None) -> Labels:
    if classes is None:
        numbers = _numbers(cells)
        _count(~np.isfinite(numbers), PREDICTION, "are no finite numbers")
        return numbers
    has_words = any(isinstance(name, str) for name in classes)
    # 1.0 is 1, as in a delivery.
    known: dict[Any, int] = {
        str(name) if has_words else float(name): position for position, name in enumerate(classes)
    }
    named = cells if has_words else _numbers(cells)
    positions = np.array([known.get(name, -1) for name in named])
    _count(positions < 0, PREDICTION, f"are none of the classes {', '.join(map(str, classes))}")
    names = np.array(classes, dtype=object if has_words else np.int64)
    return np.asarray(names[positions])


def _chances(cells: pd.Series[Any]) -> Numbers:
    chances = _numbers(cells)
    _count(~are_chances(chances), str(cells.name), "are no numbers from 0 to 1")
    return chances


def _numbers(cells: pd.Series[Any]) -> Numbers:
    """Return cells as doubles; NaN for what is no number."""
    return np.array([_number(cell) for cell in cells], dtype=np.float64)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _count(is_wrong: RowMask, column: str, rule: str) -> None:
    if is_wrong.any():
        raise _error(f"column {column}: {int(is_wrong.sum()):,} rows {rule}")


def _error(text: str) -> ValueError:
    return ValueError(f"{PREDICTIONS_FILE} {text}")
