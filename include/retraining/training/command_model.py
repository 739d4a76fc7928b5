"""Models in another language: their commands run here, beside copies of their scripts.

Nothing of such a model is ever loaded into this process: it is asked through files, and what it
answers is checked. What a command is promised is in docs/any-language.md.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from include.retraining.config.command_protocol import (
    MODEL_FOLDER,
    PREDICTIONS_FILE,
    ROW,
    ROWS_FILE,
    TASK_FILE,
    TRAINING_FILE,
)
from include.retraining.data.arrays import Labels
from include.retraining.data.labels import Class
from include.retraining.exceptions import TrainingError
from include.retraining.plain_files import SAFE_PATH, plain_files
from include.retraining.training.command_files import read_predictions, write_table, write_task
from include.retraining.training.predictions import Predictions

log = logging.getLogger(__name__)

MAX_MODEL_FILES = 1000
# All that a command gets of our environment; the rest holds the store's options and credentials.
PASSED_ON = (
    "PATH",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
# The same everywhere: how text sorts and what time it is must not depend on the machine.
ALWAYS = {"LANG": "C.UTF-8", "TZ": "UTC"}


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

    def predictions(self, rows: pd.DataFrame) -> Predictions:
        """Run the command on some rows, in its own folder.

        Raises:
            TrainingError: when it fails, or does not answer as it must.
        """
        task = {
            "task": "predict",
            "problem": self.problem,
            "features": list(self.features),
            **_classes(self.classes, self.positive),
            "model": MODEL_FOLDER,
            "data": ROWS_FILE,
            "predictions": PREDICTIONS_FILE,
        }
        numbers = pd.Series(range(1, len(rows) + 1))
        with _workplace(self.scripts) as place:
            write_files(place / MODEL_FOLDER, self.files)
            columns = {name: rows[name] for name in self.features}
            write_table(place / ROWS_FILE, {ROW: numbers, **columns})
            write_task(place, task)
            _run("predict", self.command, place)
            with _refusing("predict", self.command):
                return read_predictions(
                    place / PREDICTIONS_FILE,
                    rows=len(rows),
                    problem=self.problem,
                    classes=self.classes,
                    positive=self.positive,
                )

    def predict(self, rows: pd.DataFrame) -> Labels:
        """Return the predicted classes or numbers, as an estimator does."""
        return self.predictions(rows).values


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
    train: tuple[str, ...],
    predict: tuple[str, ...],
    scripts: Mapping[str, bytes],
) -> ExternalModel:
    """Run a model's `train` command and return what it made.

    Args:
        task: what to train on.
        train: the command.
        predict: the command that will predict.
        scripts: the files that both are run beside, by their path.

    Raises:
        TrainingError: when it fails, or leaves no model.
    """
    if task.problem == "binary" and (len(task.classes or ()) != 2):
        raise TrainingError("a binary problem needs rows of two classes to train on")
    features = tuple(task.rows.columns)
    with _workplace(scripts) as place:
        (place / MODEL_FOLDER).mkdir()
        columns = {name: task.rows[name] for name in features}
        write_table(place / TRAINING_FILE, {**columns, task.label: task.labels})
        write_task(
            place,
            {
                "task": "train",
                "problem": task.problem,
                "features": list(features),
                "label": task.label,
                **_classes(task.classes, task.positive),
                "seed": task.seed,
                "data": TRAINING_FILE,
                "model": MODEL_FOLDER,
            },
        )
        _run("train", train, place)
        with _refusing("train", train):
            files = _read_model(place / MODEL_FOLDER)
    return ExternalModel(
        predict, task.problem, features, task.classes, task.positive, scripts, files
    )


def _classes(classes: Sequence[Class] | None, positive: Class | None) -> dict[str, Any]:
    known = {"classes": None if classes is None else list(classes), "positive": positive}
    return {name: value for name, value in known.items() if value is not None}


@contextmanager
def _workplace(scripts: Mapping[str, bytes]) -> Iterator[Path]:
    """Give a fresh folder with copies of the scripts, which is gone afterwards."""
    # What a command left running may still write; it must not turn success into failure.
    with tempfile.TemporaryDirectory(prefix="retraining-", ignore_cleanup_errors=True) as name:
        root = Path(name).resolve()
        (root / "home").mkdir()
        place = root / "work"
        place.mkdir()
        write_files(place, scripts)
        yield place


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder, by their path in it."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


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


def _run(task: str, command: tuple[str, ...], place: Path) -> None:
    """Run a command to its end; what it says goes to this process's standard error as it comes."""
    home = place.parent / "home"
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment = passed_on | ALWAYS | {"HOME": str(home), "TMPDIR": str(home)}
    log.info("%s: %s", task, " ".join(command))
    sys.stderr.flush()
    try:
        # In our own process group, so that it ends whenever and however the job is ended.
        process = subprocess.Popen(  # noqa: S603 from the reviewed YAML, no shell
            [*command, TASK_FILE],
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=2,
            stderr=2,
        )
    except OSError as error:
        raise _failure(
            task,
            command,
            f"cannot be started: {error.strerror}: {command[0]!r} must be installed where this "
            "step runs",
        ) from error
    try:
        process.wait()
    finally:
        process.kill()
        process.wait()
        _end_what_it_left(home)
    if process.returncode != 0:
        raise _failure(
            task,
            command,
            f"{_ended(process.returncode)}; what it said is in the log of the job",
        )


def _ended(exit_code: int) -> str:
    if exit_code > 0:
        return f"ended with exit code {exit_code}"
    name = signal.Signals(-exit_code).name
    suspicion = ", most likely out of memory" if name == "SIGKILL" else ""
    return f"was killed ({name}){suspicion}"


def _end_what_it_left(home: Path) -> None:
    """Kill what a command started and did not end: what still has its HOME in its environment.

    Linux only; elsewhere it runs until the job ends.
    """
    mark = f"HOME={home}".encode()
    for _ in range(100):
        left = [entry for entry in Path("/proc").glob("[0-9]*") if mark in _environment(entry)]
        if not left:
            return
        for entry in left:
            with suppress(ProcessLookupError):
                os.kill(int(entry.name), signal.SIGKILL)
        time.sleep(0.01)


def _environment(entry: Path) -> list[bytes]:
    """Return the environment of a process; empty when it is not ours or is gone."""
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


@contextmanager
def _refusing(task: str, command: tuple[str, ...]) -> Iterator[None]:
    """Turn what is wrong with a command's files into an error that names the command."""
    try:
        yield
    except ValueError as error:
        raise _failure(task, command, str(error)) from error


def _failure(task: str, command: tuple[str, ...], text: str) -> TrainingError:
    return TrainingError(f"training.commands.{task} ({' '.join(command)}): {text}")
