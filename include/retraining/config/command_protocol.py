"""The names of the files and columns through which a command in another language is asked.

docs/any-language.md describes them like an API; `FORMATS` are its versions.
"""

from __future__ import annotations

from typing import Literal, get_args

Format = Literal[1, 2]
FORMATS: tuple[int, ...] = get_args(Format)
"""1: a command is started for each request, and tables are CSV. 2: `predict` is started once, and
answers one request after another; tables are what the YAML says."""

Tables = Literal["csv", "arrow", "parquet"]
"""How tables are written; it is also the ending of their files' names."""

TASK_FILE = "task.json"
MODEL_FOLDER = "model"
# Format 1.
TRAINING_FILE = "train.csv"
ROWS_FILE = "rows.csv"
PREDICTIONS_FILE = "predictions.csv"
# Format 2: all tables, and a number for each request.
TABLES_FOLDER = "data"

RESERVED = {
    1: frozenset({TASK_FILE, TRAINING_FILE, ROWS_FILE, PREDICTIONS_FILE, MODEL_FOLDER}),
    2: frozenset({TASK_FILE, MODEL_FOLDER, TABLES_FOLDER}),
}
"""By format, the names in a command's folder that no script may have."""

ROW = "row"
"""The column that numbers the rows to predict, from 1. It stands for the key: a command needs
nobody's identity, and a number is read the same way in every language."""
PREDICTION = "prediction"
PROBABILITY = "probability"
