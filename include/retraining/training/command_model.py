"""Models in another language: their commands run here, beside copies of their scripts.

Nothing of such a model is ever loaded into this process: it is asked through files, and what it
answers is checked. What a command is promised is in docs/any-language.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from include.retraining.config.command_protocol import (
    MODEL_FOLDER,
    PREDICTIONS_FILE,
    ROW,
    ROWS_FILE,
    TABLES_FOLDER,
    TRAINING_FILE,
    Tables,
)
from include.retraining.config.sections import Commands
from include.retraining.data.arrays import Labels
from include.retraining.data.labels import Class
from include.retraining.exceptions import TrainingError
from include.retraining.plain_files import SAFE_PATH, plain_files
from include.retraining.training.command_files import read_predictions, write_task
from include.retraining.training.command_process import (
    RunningCommand,
    refusing,
    run_command,
    workplace,
    write_files,
)
from include.retraining.training.command_tables import write_table
from include.retraining.training.estimator import Estimator
from include.retraining.training.predictions import Predictions

MAX_MODEL_FILES = 1000


@dataclass(frozen=True)
class ExternalModel:
    """A trained model in another language, with all that it needs to predict."""

    command: tuple[str, ...]
    """Predicts."""
    problem: str
    features: tuple[str, ...]
    classes: tuple[Class, ...] | None
    positive: Class | None
    scripts: Mapping[str, bytes]
    """The files that the command was trained with, by their path."""
    files: Mapping[str, bytes]
    """What training left, by its path in the model's folder."""
    format: int = 1
    tables: Tables = "csv"

    def predictions(self, rows: pd.DataFrame) -> Predictions:
        """Start the command and ask it for some rows.

        Raises:
            TrainingError: when it fails, or does not answer as it must.
        """
        if self.format > 1:
            with self.started() as running:
                return running.predictions(rows)
        with workplace(self.scripts) as place:
            names = {"data": ROWS_FILE, "predictions": PREDICTIONS_FILE}
            self._prepare(place, names)
            _write_rows(self, place / ROWS_FILE, rows)
            run_command("predict", self.command, place)
            return _read_predictions(self, place / PREDICTIONS_FILE, len(rows))

    def predict(self, rows: pd.DataFrame) -> Labels:
        """Return the predicted classes or numbers, as an estimator does."""
        return self.predictions(rows).values

    @contextmanager
    def started(self) -> Iterator[_StartedModel]:
        """Start the command of a model in format 2, which then answers until the block's end.

        Raises:
            TrainingError: when it cannot be started, or does not end as it must.
        """
        with workplace(self.scripts) as place:
            self._prepare(place, {"tables": self.tables})
            (place / TABLES_FOLDER).mkdir()
            running = RunningCommand("predict", self.command, place)
            try:
                yield _StartedModel(self, place, running)
                running.finish()
            finally:
                running.kill()

    def _prepare(self, place: Path, names: Mapping[str, str]) -> None:
        """Write the model's files, and the task."""
        write_files(place / MODEL_FOLDER, self.files)
        task = {
            "task": "predict",
            "problem": self.problem,
            "features": list(self.features),
            **_classes(self.classes, self.positive),
            "model": MODEL_FOLDER,
            **names,
        }
        write_task(place, self.format, task)


def _write_rows(model: ExternalModel, path: Path, rows: pd.DataFrame) -> None:
    numbers = pd.Series(range(1, len(rows) + 1))
    write_table(path, {ROW: numbers, **{name: rows[name] for name in model.features}})


def _read_predictions(model: ExternalModel, path: Path, rows: int) -> Predictions:
    with refusing("predict", model.command):
        return read_predictions(
            path,
            rows=rows,
            problem=model.problem,
            classes=model.classes,
            positive=model.positive,
        )


class _StartedModel:
    """A model whose command runs, and answers one request after another."""

    def __init__(self, model: ExternalModel, place: Path, running: RunningCommand) -> None:
        self._model, self._place, self._running = model, place, running
        self._number = 0

    def predictions(self, rows: pd.DataFrame) -> Predictions:
        """Ask for some rows.

        Raises:
            TrainingError: when the command ends, or does not answer as it must.
        """
        self._number += 1
        asked, answer = (
            f"{TABLES_FOLDER}/{name}-{self._number}.{self._model.tables}"
            for name in ("rows", "predictions")
        )
        _write_rows(self._model, self._place / asked, rows)
        self._running.ask(f"{asked} {answer}")
        predictions = _read_predictions(self._model, self._place / answer, len(rows))
        (self._place / asked).unlink(missing_ok=True)
        (self._place / answer).unlink()
        return predictions

    def predict(self, rows: pd.DataFrame) -> Labels:
        """Return the predicted classes or numbers, as an estimator does."""
        return self.predictions(rows).values


@contextmanager
def started(model: Estimator) -> Iterator[Estimator]:
    """Give a model that answers several requests: started once, where it is one in format 2."""
    if isinstance(model, ExternalModel) and model.format > 1:
        with model.started() as running:
            yield running
    else:
        yield model


@dataclass(frozen=True)
class TrainingTask:
    """What a command trains on."""

    problem: str
    rows: pd.DataFrame
    """The features, in order."""
    label: str
    labels: Labels
    classes: tuple[Class, ...] | None
    positive: Class | None
    seed: int


def train_model(
    task: TrainingTask,
    commands: Commands,
    scripts: Mapping[str, bytes],
) -> ExternalModel:
    """Run a model's `train` command and return what it made.

    Args:
        task: what to train on.
        commands: what trains and what will predict.
        scripts: the files that both are run beside, by their path.

    Raises:
        TrainingError: when it fails, or leaves no model.
    """
    if task.problem == "binary" and (len(task.classes or ()) != 2):
        raise TrainingError("a binary problem needs rows of two classes to train on")
    features = tuple(task.rows.columns)
    data = TRAINING_FILE
    more: dict[str, Any] = {}
    if commands.format > 1:
        data = f"{TABLES_FOLDER}/train.{commands.tables}"
        more = {"tables": commands.tables}
    with workplace(scripts) as place:
        (place / MODEL_FOLDER).mkdir()
        (place / data).parent.mkdir(exist_ok=True)
        columns = {name: task.rows[name] for name in features}
        write_table(place / data, {**columns, task.label: task.labels})
        asked = _training_request(task, data, more)
        write_task(place, commands.format, asked)
        run_command("train", commands.train, place)
        with refusing("train", commands.train):
            files = _read_model(place / MODEL_FOLDER)
    return ExternalModel(
        command=commands.predict,
        problem=task.problem,
        features=features,
        classes=task.classes,
        positive=task.positive,
        scripts=scripts,
        files=files,
        format=commands.format,
        tables=commands.tables,
    )


def _training_request(task: TrainingTask, data: str, more: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "task": "train",
        "problem": task.problem,
        "features": list(task.rows.columns),
        "label": task.label,
        **_classes(task.classes, task.positive),
        "seed": task.seed,
        **more,
        "data": data,
        "model": MODEL_FOLDER,
    }


def _classes(classes: Sequence[Class] | None, positive: Class | None) -> dict[str, Any]:
    known = {"classes": None if classes is None else list(classes), "positive": positive}
    return {name: value for name, value in known.items() if value is not None}


def _read_model(folder: Path) -> dict[str, bytes]:
    """Return the files that training left.

    Raises:
        ValueError: naming what cannot be kept.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise ValueError(f"{MODEL_FOLDER} is no folder any more")
    names = plain_files(folder)
    if not 1 <= len(names) <= MAX_MODEL_FILES:
        raise ValueError(
            f"{MODEL_FOLDER} holds {len(names):,} files, must hold 1 to {MAX_MODEL_FILES:,}"
        )
    unsafe = [name for name in names if not re.fullmatch(SAFE_PATH, name)]
    if unsafe:
        raise ValueError(
            f"{MODEL_FOLDER}/{unsafe[0]}: a name begins with a letter or a digit and has letters, "
            "digits and '_.-'"
        )
    return {name: (folder / name).read_bytes() for name in names}
