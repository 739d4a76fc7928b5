"""Training: a model, fitted on everything but the holdout by its own code, becomes a version."""

from __future__ import annotations

import hashlib
import logging
import math
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.retraining.command_protocol import FORMAT
from include.retraining.config import ModelConfig
from include.retraining.dataset import read_dataset
from include.retraining.documents import sha256_of
from include.retraining.exceptions import ArtifactError, TrainingError
from include.retraining.external import (
    ExternalModel,
    TrainingTask,
    cost_with_commands,
    train_model,
    write_files,
)
from include.retraining.foreign_errors import IN_THE_LOG, kind_and_place, model_errors
from include.retraining.job import Job
from include.retraining.labels import Array, class_names, label_values
from include.retraining.layout import version_manifest_key
from include.retraining.manifest import PinnedFile, RunManifest
from include.retraining.metric_needs import require_answers
from include.retraining.model_code import load_model_code, read_scripts, training_columns
from include.retraining.plain_files import plain_files
from include.retraining.prediction_checks import check_answers_differ, check_predictions
from include.retraining.predictions import greatest_difference, predict
from include.retraining.reading import reading_of
from include.retraining.results import Output, TrainResult, read_result
from include.retraining.rows_used import RowsUsed, rows_used
from include.retraining.split import holdout_mask, split_used
from include.retraining.split_record import SplitUsed
from include.retraining.storage import Store
from include.retraining.training_claim import TrainingClaims
from include.retraining.versions import (
    MODEL_FILE,
    MODEL_PREFIX,
    REVIEWED_TYPES,
    SCRIPTS_PREFIX,
    Library,
    PredictCommand,
    VersionManifest,
    check_provenance,
    find_version,
    load_estimator,
    publish_version,
    unreviewed_types,
    verify_version,
)

log = logging.getLogger(__name__)

LIBRARIES = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops")
PROBE_ROWS = 1_000
TOLERANCE = 1e-6
"""Threads add in any order, some in single precision: predictions this close are the same."""


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator or an `ExternalModel`, and what it was fitted on."""

    estimator: Any
    features: tuple[str, ...]
    classes: tuple[int | str, ...] | None
    split: SplitUsed
    used: RowsUsed
    train_rows: int
    train_seconds: float
    probe: pd.DataFrame
    """Some rows it was fitted on, to compare it with its saved self."""


def train(job: Job) -> TrainResult:
    """Make the version that a run's fingerprint names, or adopt it when it is there.

    Raises:
        EvidenceError: when the data was not validated.
        DataChanged: when a pinned file is no longer what was pinned.
        TrainingError: when the model's own code failed, naming its file, line and function.
        ArtifactError: when the model cannot be saved for loading with reviewed types only, or when
            the version is there already and is damaged.
        TrainingElsewhere: when another run trains this very version now.
    """
    read_result(job.store, job.paths, job.manifest, "validate")
    run = job.manifest
    version = find_version(job.store, run.model, run.version)
    adopted = version is not None
    apart = None
    if version is None:
        claims = TrainingClaims(job.store, run.model, run.version)
        with claims.hold(run_id=run.run_id, plan=job.paths.run, attempt=job.attempt):
            # Whoever held the claim before may have finished meanwhile.
            version = find_version(job.store, run.model, run.version)
            adopted = version is not None
            if version is None:
                fitted = fit(job.store, run, job.config)
                version, adopted = _publish(job, fitted)
                apart = _compare_with_first(job, fitted, version) if adopted else None
    if adopted:
        verify_version(job.store, version)
    check_provenance(version, run)
    if adopted:
        log.info("version %s is there already: adopted, not trained again", version.version)
    data = version.to_bytes()
    return TrainResult(
        run_id=run.run_id,
        fingerprint=run.fingerprint,
        finished_at=datetime.now(UTC),
        cost=cost_with_commands(job),
        version=version.version,
        adopted=adopted,
        differs_by=apart,
        manifest=Output(
            key=version_manifest_key(run.model, run.version),
            size=len(data),
            sha256=sha256_of(data),
        ),
    )


def fit(store: Store, run: RunManifest, config: ModelConfig) -> Fitted:
    """Fit the model on the training part of the run's delivery.

    Everything random starts from the manifest's seed, so that the same inputs give the same
    predictions. Nothing is written to the store.
    """
    code = load_model_code(config)
    reading = reading_of(config, code)
    frame = read_dataset(store, run.delivery, reading, training_columns(config, code))
    mask = holdout_mask(frame, config)
    split = split_used(frame, mask, config)
    labels = label_values(frame[config.data.label], config.problem)
    # One copy of the training part, and the whole delivery is let go before the fit.
    keys, rows = frame[config.data.key], frame[list(code.features)]
    del frame
    used = rows_used(keys, rows, labels, mask)
    rows, labels = rows[~mask], labels[~mask]
    classes = None if config.problem == "regression" else class_names(np.unique(labels))
    started = time.perf_counter()
    if code.build_estimator is None:
        estimator: Any = _run_command(config, run.seed, rows, labels, classes)
    else:
        estimator = _fit(config, code.build_estimator, run.seed, rows, labels)
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
    return Fitted(estimator, code.features, classes, split, used, len(rows), seconds, probe)


def _run_command(
    config: ModelConfig,
    seed: int,
    rows: pd.DataFrame,
    labels: Array,
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
    return train_model(task, commands.train, commands.predict, read_scripts(config.name))


def _fit(
    config: ModelConfig,
    build_estimator: Callable[[int], Any],
    seed: int,
    rows: pd.DataFrame,
    labels: Array,
) -> Any:
    """Return the fitted estimator."""
    entry_point = config.training.entry_point
    random.seed(seed)  # for estimators that draw from a global generator, whatever they are given
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
        fitted = estimator.fit(rows, labels)
    if not hasattr(fitted, "predict"):
        raise TrainingError(f"{returned}, which has no predict() after fit()")
    require_answers(config, fitted, is_fitted=True)
    return fitted


def save(estimator: Any, path: Path, trusted: tuple[str, ...]) -> None:
    """Save an estimator with skops.

    Raises:
        ArtifactError: when skops cannot save it, or it could not be loaded again with reviewed
            types only.
    """
    import skops.io

    try:
        skops.io.dump(estimator, path)
        needed = set(skops.io.get_untrusted_types(file=path))
    except Exception as error:
        raise ArtifactError(
            f"{type(estimator).__name__} cannot be saved with skops (pickle is not used, on "
            f"purpose): {kind_and_place(error)}; {IN_THE_LOG}"
        ) from error
    if unknown := needed - set(trusted) - REVIEWED_TYPES:
        raise ArtifactError(unreviewed_types("the trained model", unknown))


def save_model(model: Any, folder: Path, trusted: tuple[str, ...]) -> None:
    """Write all files of a version: an estimator's, or those of a model in another language."""
    if isinstance(model, ExternalModel):
        write_files(folder / MODEL_PREFIX, model.files)
        write_files(folder / SCRIPTS_PREFIX, model.scripts)
    else:
        save(model, folder / MODEL_FILE, trusted)


def _publish(job: Job, fitted: Fitted) -> tuple[VersionManifest, bool]:
    run, config = job.manifest, job.config
    trusted = config.training.trusted_types
    with tempfile.TemporaryDirectory(prefix="retraining-") as name:
        folder, model = Path(name), fitted.estimator
        save_model(model, folder, trusted)
        files = tuple(_pinned(folder, name) for name in plain_files(folder))
        is_external = isinstance(model, ExternalModel)
        version = VersionManifest(
            model=run.model,
            version=run.version,
            fingerprint=run.fingerprint,
            run_id=run.run_id,
            attempt=job.attempt,
            created_at=datetime.now(UTC),
            files=files,
            problem=config.problem,
            features=fitted.features,
            classes=fitted.classes,
            split=fitted.split,
            rows_used=fitted.used,
            seed=run.seed,
            code=run.code,
            data=run.delivery.files,
            data_date=run.params.date.isoformat(),
            train_rows=fitted.train_rows,
            train_seconds=round(fitted.train_seconds, 3),
            peak_memory_bytes=cost_with_commands(job).peak_memory_bytes,
            model_bytes=sum(
                file.size for file in files if not file.name.startswith(SCRIPTS_PREFIX)
            ),
            libraries=()
            if is_external
            else tuple(Library(name=name, version=library_version(name)) for name in LIBRARIES),
            trusted_types=() if is_external else trusted,
            predicts_by=PredictCommand(
                format=FORMAT, command=model.command, positive=model.positive
            )
            if is_external
            else None,
        )

        def check(loaded: Any) -> None:
            if not _difference(fitted, loaded, config.problem) <= TOLERANCE:
                raise ArtifactError("the saved model predicts otherwise than the trained one")

        return publish_version(
            job.store, version, folder, trusted=config.training.trusted, check=check
        )


def _difference(fitted: Fitted, other: Any, problem: str) -> float:
    """Return how far another model's predictions for the probe lie from those of the fitted one."""
    ours = predict(fitted.estimator, fitted.probe, problem)
    return greatest_difference(ours, predict(other, fitted.probe, problem))


def _compare_with_first(job: Job, fitted: Fitted, first: VersionManifest) -> float | None:
    """Return how far the published version predicts from this training, None when they agree."""
    trusted = job.config.training.trusted
    apart = _difference(fitted, load_estimator(job.store, first, trusted), job.config.problem)
    if apart <= TOLERANCE:
        return None
    log.warning(
        "this training is not deterministic: attempt %s published version %s first, it is adopted, "
        "and its predictions for the same rows lie %.3g apart from this attempt's. Set every seed "
        "in include/models/%s.py: `reproduce` will say that it differs until then",
        first.attempt,
        first.version,
        apart,
        job.config.name,
    )
    return apart if math.isfinite(apart) else 1.0


def _pinned(folder: Path, name: str) -> PinnedFile:
    path = folder / name
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return PinnedFile(name=name, size=path.stat().st_size, sha256=digest)
