"""Fitting: a model learns from everything but the holdout, by its own code."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from include.retraining.config.model import ModelConfig
from include.retraining.config.model_code import (
    ModelCode,
    dividing_columns,
    load_model_code,
    read_scripts,
    training_columns,
)
from include.retraining.data.arrays import Labels, Positions, RowMask
from include.retraining.data.dataset import open_dataset
from include.retraining.data.forget_list import divide_remaining, forgotten_places
from include.retraining.data.kept_rows import KeptRows
from include.retraining.data.labels import class_names, label_values
from include.retraining.data.reading import reading_of
from include.retraining.data.split import Hashes, holdout_mask, split_used, training_mask
from include.retraining.data.split_record import SplitUsed
from include.retraining.data.time_windows import earlier_windows
from include.retraining.exceptions import TrainingError
from include.retraining.fingerprint.pinned import Forgotten
from include.retraining.runs.foreign_errors import model_errors
from include.retraining.runs.manifest import RunManifest
from include.retraining.store.object_store import Store
from include.retraining.training.command_model import ExternalModel, TrainingTask, train_model
from include.retraining.training.estimator import Estimator
from include.retraining.training.metric_needs import require_answers
from include.retraining.training.prediction_checks import check_answers_differ, check_predictions
from include.retraining.training.predictions import Predictions, predict
from include.retraining.training.rows_used import ContentHashes, RowsUsed, rows_used
from include.retraining.training.walk_forward import WalkForward, walk_forward

log = logging.getLogger(__name__)

PROBE_ROWS = 1_000


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator or an `ExternalModel`, and what it was fitted on."""

    estimator: Estimator
    features: tuple[str, ...]
    classes: tuple[int | str, ...] | None
    split: SplitUsed
    used: RowsUsed
    forgotten: Forgotten | None
    train_rows: int
    train_seconds: float
    probe: pd.DataFrame
    """Some rows it was fitted on, to compare it with its saved self."""
    answers: Predictions
    """What it predicts for them."""
    walk_forward: WalkForward | None = None
    """What the recipe predicts for the periods before the holdout, where it is judged on some."""


def fit(store: Store, run: RunManifest, config: ModelConfig) -> Fitted:
    """Fit the model on the training part of the run's delivery.

    Everything random starts from the manifest's seed, so that the same inputs give the same
    predictions. Nothing is written to the store.
    """
    code = load_model_code(config)
    data = _read_training_part(store, run, config, code)
    rows, labels = data.rows, data.labels
    classes = None if config.problem == "regression" else class_names(np.unique(labels))
    started = time.perf_counter()
    estimator = _train(config, code, run.seed, rows, labels)
    seconds = time.perf_counter() - started
    log.info("fitted in %.1f s", seconds)
    where = f"include/models/{config.name}.py: {config.training.entry_point}()"
    if isinstance(estimator, ExternalModel):
        where = f"training.commands.predict ({' '.join(estimator.command)})"
    elif classes is not None:
        known = class_names(getattr(estimator, "classes_", ()))
        if set(known) != set(classes):
            raise TrainingError(f"{where}: the fitted estimator does not know the label's classes")
        classes = known
    # Spread over all rows, which may be sorted by the label.
    probe = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, PROBE_ROWS).astype(int))]
    with model_errors(config, "predicting rows of the training part"):
        answers = predict(estimator, probe, config.problem)
    check_predictions(answers, where=where, classes=classes)
    check_answers_differ(answers, probe, where=where)
    return Fitted(
        estimator=estimator,
        features=code.features,
        classes=classes,
        split=data.split,
        used=data.used,
        forgotten=data.forgotten,
        train_rows=len(rows),
        train_seconds=seconds,
        probe=probe,
        answers=answers,
        walk_forward=_walk_forward(config, code, run.seed, data, classes),
    )


def _walk_forward(
    config: ModelConfig,
    code: ModelCode,
    seed: int,
    data: _TrainingPart,
    classes: tuple[int | str, ...] | None,
) -> WalkForward | None:
    """Fit the recipe to what came before each period before the holdout, and predict it."""
    older = data.older
    if older is None:
        return None

    def predict_after(rows: pd.DataFrame, labels: Labels, later: pd.DataFrame) -> Predictions:
        if config.problem == "binary" and len(np.unique(labels)) < 2:
            raise TrainingError(
                "data.split.windows: the rows before one of the periods have one label only, and "
                "nothing can be fitted to them: fewer windows, or more rows"
            )
        estimator = _train(config, code, seed, rows, labels)
        with model_errors(config, "predicting a period before the holdout"):
            predictions = predict(estimator, later, config.problem)
        known = None if classes is None else class_names(np.unique(labels))
        check_predictions(predictions, where="a period before the holdout", classes=known)
        return predictions

    log.info("walking forward through %d periods before the holdout", len(older.windows))
    return walk_forward(
        older.keys,
        older.rows,
        older.labels,
        older.windows,
        classes=classes,
        predict_after=predict_after,
    )


def _train(
    config: ModelConfig, code: ModelCode, seed: int, rows: pd.DataFrame, labels: Labels
) -> Estimator:
    """Return the model that the recipe makes of some rows."""
    if code.build_estimator is not None:
        return _fit(config, code.build_estimator, seed, rows, labels)
    classes = None if config.problem == "regression" else class_names(np.unique(labels))
    return _run_command(config, seed, rows, labels, classes)


@dataclass(frozen=True)
class _TrainingPart:
    """The rows to fit on, and what is kept of the delivery."""

    rows: pd.DataFrame
    """The features, in order."""
    labels: Labels
    split: SplitUsed
    used: RowsUsed
    forgotten: Forgotten | None
    older: _OlderRows | None
    """None where the recipe is judged on the holdout alone."""


@dataclass(frozen=True)
class _OlderRows:
    """All rows before the holdout, those of a gap included."""

    keys: pd.Series[Any]
    rows: pd.DataFrame
    """The features, in order."""
    labels: Labels
    windows: tuple[tuple[RowMask, RowMask], ...]
    """For each period before the holdout, which of these rows are in it, which are fitted to."""


def _read_training_part(
    store: Store, run: RunManifest, config: ModelConfig, code: ModelCode
) -> _TrainingPart:
    """Read what is fitted on, column by column: only the rows to fit on are ever together."""
    columns = training_columns(config, code)
    with open_dataset(store, run.delivery, reading_of(config, code), columns) as dataset:
        about = dataset.frame(dividing_columns(config))
        mask = holdout_mask(about, config)
        labels = label_values(about[config.data.label], config.problem)
        left_out = forgotten_places(store, run, about[config.data.key])
        older, mask = divide_remaining(mask, left_out)
        training = training_mask(about, older, config)
        windows = earlier_windows(about, older, config)
        # The rows of a gap are in a period before the holdout.
        read = older if windows else training
        kept, content = KeptRows(read, len(code.features)), ContentHashes(dataset.rows)
        for column in dataset.columns(code.features):
            content.add(column)
            kept.add(column)
    frame, hashes = kept.frame(), content.finished(labels)
    return _TrainingPart(
        rows=frame if (read == training).all() else frame[training[read]],
        labels=labels[training],
        split=split_used(about, training, config),
        used=_rows_used(about[config.data.key], hashes, mask, training, left_out),
        forgotten=None if run.forget is None else Forgotten(pinned=run.forget, rows=len(left_out)),
        older=_OlderRows(
            keys=about.loc[read, config.data.key],
            rows=frame,
            labels=labels[read],
            windows=tuple((one.rows[read], one.training[read]) for one in windows),
        )
        if windows
        else None,
    )


def _rows_used(
    keys: pd.Series[Any], hashes: Hashes, mask: RowMask, training: RowMask, left_out: Positions
) -> RowsUsed:
    """Return the sketches of a delivery without the rows that are to be forgotten."""
    if len(left_out):
        keys = keys.drop(index=keys.index[left_out])
        hashes, mask = np.delete(hashes, left_out), np.delete(mask, left_out)
        training = np.delete(training, left_out)
    return rows_used(keys, hashes, mask, training=training)


def _run_command(
    config: ModelConfig,
    seed: int,
    rows: pd.DataFrame,
    labels: Labels,
    classes: tuple[int | str, ...] | None,
) -> ExternalModel:
    """Let the model's command train."""
    commands = config.training.commands
    assert commands is not None  # noqa: S101 a model has an entry point or commands
    task = TrainingTask(
        problem=config.problem,
        rows=rows,
        label=config.data.label,
        labels=labels,
        classes=classes,
        positive=next(iter(class_names([config.data.positive])))
        if config.problem == "binary"
        else None,
        seed=seed,
    )
    log.info("training on %s rows", f"{len(rows):,}")
    return train_model(task, commands, read_scripts(config.name))


def _fit(
    config: ModelConfig,
    build_estimator: Callable[[int], Any],
    seed: int,
    rows: pd.DataFrame,
    labels: Labels,
) -> Estimator:
    """Return the fitted estimator."""
    entry_point = config.training.entry_point
    random.seed(seed)  # for estimators that draw from a global generator regardless
    np.random.seed(seed)
    with model_errors(config, f"{entry_point}({seed})", has_data=False):
        estimator = build_estimator(seed)
    returned = f"include/models/{config.name}.py: {entry_point}() returned "
    returned += type(estimator).__name__
    # Some have predict() only once they are fitted, as a stack of estimators: its class has it.
    may_predict = hasattr(estimator, "predict") or hasattr(type(estimator), "predict")
    if not (hasattr(estimator, "fit") and may_predict):
        raise TrainingError(f"{returned}, must return an estimator with fit() and predict()")
    require_answers(config, estimator, is_fitted=False)
    log.info("fitting %s on %s rows", type(estimator).__name__, f"{len(rows):,}")
    with model_errors(config, f"fit() of what {entry_point}() returned"):
        fitted: Estimator = estimator.fit(rows, labels)
    if not hasattr(fitted, "predict"):
        raise TrainingError(f"{returned}, which has no predict() after fit()")
    require_answers(config, fitted, is_fitted=True)
    return fitted
