"""The files through which a command in another language is asked and answers.

docs/any-language.md describes them like an API.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.retraining.config.command_protocol import PREDICTION, PROBABILITY, ROW, TASK_FILE
from include.retraining.data.arrays import Labels, Numbers, Positions, RowMask
from include.retraining.data.labels import Class, class_names
from include.retraining.training.command_tables import WrongTable, read_table
from include.retraining.training.prediction_checks import add_up, are_chances
from include.retraining.training.predictions import Predictions


def write_task(folder: Path, number: int, task: Mapping[str, Any]) -> None:
    """Write what a command is asked to do, as JSON in the format of this number."""
    text = json.dumps({"format": number, **task}, ensure_ascii=False, indent=2, allow_nan=False)
    (folder / TASK_FILE).write_text(text + "\n", encoding="utf-8")


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
    try:
        return _checked(path, rows, problem, classes, positive)
    except WrongTable as error:
        raise ValueError(f"{path.name} {error}") from error


def _checked(
    path: Path,
    rows: int,
    problem: str,
    classes: tuple[Class, ...] | None,
    positive: Class | None,
) -> Predictions:
    optional = probability_columns(problem, classes)
    table = read_table(path, partial(_check_header, optional=optional))
    if len(table) != rows:
        raise WrongTable(f"has {len(table):,} rows, must have one for each of the {rows:,} rows")
    order = _positions(table[ROW], rows)
    values = _values(table[PREDICTION], classes)[order]
    if problem == "regression":
        return Predictions(values, None, None)
    names = [name for name in optional if name in table]
    if not names:
        return Predictions(values, None, classes)
    chances = np.column_stack([_chances(table[name]) for name in names])[order]
    if problem == "binary":
        (wanted,) = class_names([positive])
        is_positive = np.array([name == wanted for name in class_names(classes or ())])
        chances = np.where(is_positive, chances, 1 - chances)
    _count(~add_up(chances), PROBABILITY + "_…", "do not add up to 1")
    return Predictions(values, chances, classes)


def _check_header(header: list[str], optional: list[str]) -> None:
    for name in (ROW, PREDICTION):
        if header.count(name) != 1:
            raise WrongTable(f"must have one column {name!r}, has {header.count(name)}")
    chances = [name for name in header if name in optional]
    if chances and sorted(chances) != sorted(optional):
        raise WrongTable(f"must have all or none of the columns {', '.join(optional)}")
    more = len(header) - 2 - len(chances)
    if more:
        allowed = ", ".join([ROW, PREDICTION, *optional])
        raise WrongTable(f"has {more} columns too many; allowed: {allowed}")


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
    named = _words(cells) if has_words else _numbers(cells)
    positions = np.array([known.get(name, -1) for name in named])
    _count(positions < 0, PREDICTION, f"are none of the classes {', '.join(map(str, classes))}")
    names = np.array(classes, dtype=object if has_words else np.int64)
    return np.asarray(names[positions])


def _words(cells: pd.Series[Any]) -> pd.Series[Any]:
    """Return cells as text, also those that a table gives as numbers."""
    is_number = cells.dtype.kind == "f"
    return cells.map(lambda cell: str(*class_names([cell]))) if is_number else cells


def _chances(cells: pd.Series[Any]) -> Numbers:
    chances = _numbers(cells)
    _count(~are_chances(chances), str(cells.name), "are no numbers from 0 to 1")
    return chances


def _numbers(cells: pd.Series[Any]) -> Numbers:
    """Return cells as doubles; NaN for what is no number."""
    if cells.dtype.kind == "f":
        return cells.to_numpy()
    return np.array([_number(cell) for cell in cells], dtype=np.float64)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _count(is_wrong: RowMask, column: str, rule: str) -> None:
    if is_wrong.any():
        raise WrongTable(f"column {column}: {int(is_wrong.sum()):,} rows {rule}")
