"""Training: the model's estimator, fitted on everything but the holdout, becomes a version."""

from __future__ import annotations

import hashlib
import logging
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.retraining.code import ModelCode, load_model_code
from include.retraining.config import ModelConfig, TimeSplit
from include.retraining.dataset import read_dataset
from include.retraining.documents import sha256_of
from include.retraining.exceptions import ArtifactError, TrainingError
from include.retraining.job import Job, cost
from include.retraining.layout import version_manifest_key
from include.retraining.manifest import PinnedFile, RunManifest
from include.retraining.predictions import class_names, greatest_difference, label_values, predict
from include.retraining.results import Output, TrainResult, read_result
from include.retraining.split import holdout_mask, split_used
from include.retraining.storage import Store
from include.retraining.versions import (
    MODEL_FILE,
    Library,
    SplitUsed,
    VersionManifest,
    check_provenance,
    find_version,
    publish_version,
    unreviewed_types,
    verify_version,
)

log = logging.getLogger(__name__)

LIBRARIES = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops")
PROBE_ROWS = 100


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator, and what it was fitted on."""

    estimator: Any
    features: tuple[str, ...]
    classes: tuple[int | str, ...] | None
    split: SplitUsed
    train_rows: int
    train_seconds: float
    probe: pd.DataFrame
    """A few rows it was fitted on, to compare it with its saved self."""


def train(job: Job) -> TrainResult:
    """Make the version that a run's fingerprint names, or adopt it when it is there.

    Raises:
        EvidenceError: when the data was not validated.
        DataChanged: when a pinned file is no longer what was pinned.
        TrainingError: when the model's own code failed, naming its file, line and function.
        ArtifactError: when the model cannot be saved for loading with reviewed types only, or when
            the version is there already and is damaged.
    """
    read_result(job.store, job.paths, job.manifest, "validate")
    run = job.manifest
    version = find_version(job.store, run.model, run.version)
    adopted = version is not None
    if version is None:
        fitted = fit(job.store, run, job.config)
        version, adopted = _publish(job, fitted)
    else:
        verify_version(job.store, version)
    check_provenance(version, run)
    if adopted:
        log.info("version %s is there already: adopted, not trained again", version.version)
    data = version.to_bytes()
    return TrainResult(
        run_id=run.run_id,
        fingerprint=run.fingerprint,
        finished_at=datetime.now(UTC),
        cost=cost(job),
        version=version.version,
        adopted=adopted,
        manifest=Output(
            key=version_manifest_key(run.model, run.version),
            size=len(data),
            sha256=sha256_of(data),
        ),
    )


def fit(store: Store, run: RunManifest, config: ModelConfig) -> Fitted:
    """Build the model's estimator and fit it on the training part of the run's delivery.

    Everything random starts from the manifest's seed, so that the same inputs give the same
    predictions. Nothing is written.
    """
    code = load_model_code(config)
    frame = read_dataset(store, run.delivery, training_columns(config, code))
    mask = holdout_mask(frame, config)
    split = split_used(frame, mask, config)
    labels = label_values(frame[config.data.label], config.problem)[~mask]
    # One copy of the training part, and the whole delivery is let go before the fit.
    rows = frame[list(code.features)]
    del frame
    rows = rows[~mask]
    estimator, seconds = _fit(config, code, run.seed, rows, labels)
    classes = None
    if config.problem != "regression":
        classes = class_names(getattr(estimator, "classes_", ()))
        if set(classes) != set(class_names(np.unique(labels))):
            where = f"include/models/{config.name}.py: {config.training.entry_point}()"
            raise TrainingError(f"{where}: the fitted estimator does not know the label's classes")
    probe = rows.head(PROBE_ROWS)
    return Fitted(estimator, code.features, classes, split, len(rows), seconds, probe)


def training_columns(config: ModelConfig, code: ModelCode) -> list[str]:
    """Return the columns that training reads: no other column can leak into a model."""
    data = config.data
    time_column = (data.split.column,) if isinstance(data.split, TimeSplit) else ()
    return list(dict.fromkeys((data.key, data.label, *time_column, *code.features)))


def _fit(
    config: ModelConfig, code: ModelCode, seed: int, rows: pd.DataFrame, labels: Any
) -> tuple[Any, float]:
    """Return the fitted estimator and the seconds that fitting took."""
    entry_point = config.training.entry_point
    random.seed(seed)  # for estimators that draw from a global generator, whatever they are given
    np.random.seed(seed)
    with model_errors(config, code, f"{entry_point}({seed})"):
        estimator = code.build_estimator(seed)
    if not (hasattr(estimator, "fit") and hasattr(estimator, "predict")):
        raise TrainingError(
            f"include/models/{config.name}.py: {entry_point}() returned "
            f"{type(estimator).__name__}, must return an estimator with fit() and predict()"
        )
    log.info("fitting %s on %s rows", type(estimator).__name__, f"{len(rows):,}")
    started = time.perf_counter()
    with model_errors(config, code, f"fit() of what {entry_point}() returned"):
        fitted = estimator.fit(rows, labels)
    seconds = time.perf_counter() - started
    log.info("fitted in %.1f s", seconds)
    return fitted, seconds


@contextmanager
def model_errors(config: ModelConfig, code: ModelCode, doing: str) -> Iterator[None]:
    """Turn whatever a model's own code raises into one line that names the place in its file."""
    try:
        yield
    except MemoryError:
        raise  # the job's own word for it says what to do
    except (Exception, SystemExit) as error:
        where = f"include/models/{config.name}.py"
        own = str(sys.modules[code.contract.__module__].__file__)
        frames = [
            place for place in traceback.extract_tb(error.__traceback__) if place.filename == own
        ]
        if frames:
            where = f"{where} line {frames[-1].lineno}, in {frames[-1].name}"
        text = " ".join(str(error).split())[:500]
        raise TrainingError(f"{where}: {doing} failed: {type(error).__name__}: {text}") from error


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
        text = " ".join(str(error).split())[:500]
        raise ArtifactError(
            f"{type(estimator).__name__} cannot be saved with skops (pickle is not used, on "
            f"purpose): {type(error).__name__}: {text}"
        ) from error
    if needed - set(trusted):
        raise ArtifactError(unreviewed_types("the trained model", needed - set(trusted)))


def _publish(job: Job, fitted: Fitted) -> tuple[VersionManifest, bool]:
    run, config = job.manifest, job.config
    trusted = config.training.trusted_types
    with tempfile.TemporaryDirectory(prefix="retraining-") as name:
        path = Path(name) / MODEL_FILE
        save(fitted.estimator, path, trusted)
        size = path.stat().st_size
        version = VersionManifest(
            model=run.model,
            version=run.version,
            fingerprint=run.fingerprint,
            run_id=run.run_id,
            attempt=job.attempt,
            created_at=datetime.now(UTC),
            files=(PinnedFile(name=MODEL_FILE, size=size, sha256=_digest(path)),),
            problem=config.problem,
            features=fitted.features,
            classes=fitted.classes,
            split=fitted.split,
            seed=run.seed,
            code=run.code,
            data=run.delivery.files,
            data_date=run.params.date.isoformat(),
            train_rows=fitted.train_rows,
            train_seconds=round(fitted.train_seconds, 3),
            peak_memory_bytes=cost(job).peak_memory_bytes,
            model_bytes=size,
            libraries=tuple(
                Library(name=name, version=library_version(name)) for name in LIBRARIES
            ),
            trusted_types=trusted,
        )

        def check(loaded: Any) -> None:
            ours = predict(fitted.estimator, fitted.probe, config.problem)
            theirs = predict(loaded, fitted.probe, config.problem)
            if not greatest_difference(ours, theirs) < 1e-6:
                raise ArtifactError("the saved model predicts otherwise than the trained one")

        return publish_version(job.store, version, Path(name), trusted=trusted, check=check)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
