"""The names of the files and columns through which a command in another language is asked.

docs/any-language.md describes them like an API; `FORMAT` is its version.
"""

from __future__ import annotations

FORMAT = 1

TASK_FILE = "task.json"
TRAINING_FILE = "train.csv"
ROWS_FILE = "rows.csv"
PREDICTIONS_FILE = "predictions.csv"
MODEL_FOLDER = "model"
RESERVED = frozenset({TASK_FILE, TRAINING_FILE, ROWS_FILE, PREDICTIONS_FILE, MODEL_FOLDER})
"""Names in a command's folder that no script may have."""

ROW = "row"
"""The column that numbers the rows to predict, from 1. It stands for the key: a command needs
nobody's identity, and a number is read the same way in every language."""
PREDICTION = "prediction"
PROBABILITY = "probability"
