"""The step `train`: a run's model is fitted and becomes a version, once."""

from __future__ import annotations

import hashlib
import logging
import math
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any

from include.retraining.config.extras import own_pins
from include.retraining.data.column_types import type_name
from include.retraining.documents import sha256_of
from include.retraining.exceptions import ArtifactError
from include.retraining.fingerprint.pinned import PinnedFile
from include.retraining.plain_files import plain_files
from include.retraining.registry.versions import (
    MODEL_FILE,
    MODEL_PREFIX,
    SCRIPTS_PREFIX,
    Library,
    VersionManifest,
    check_provenance,
    find_version,
    load_estimator,
    publish_version,
    verify_version,
)
from include.retraining.runs.job import Job, cost
from include.retraining.runs.results import StoredObject, TrainResult, read_result
from include.retraining.store.layout import version_folder, version_manifest_key
from include.retraining.training.command_model import ExternalModel
from include.retraining.training.command_process import write_files
from include.retraining.training.estimator import Estimator
from include.retraining.training.feature_categories import categories_of
from include.retraining.training.fitting import Fitted, fit
from include.retraining.training.predict_command import PredictCommand
from include.retraining.training.predictions import greatest_difference, predict
from include.retraining.training.skops_files import save
from include.retraining.training.training_claim import TrainingClaims
from include.retraining.training.walk_forward import WalkForward

log = logging.getLogger(__name__)

LIBRARIES = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops")
TOLERANCE = 1e-6
"""Threads add in any order, some in single precision: predictions this close are the same."""


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
            # The previous holder of the claim may have finished meanwhile.
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
        cost=cost(job, with_commands=True),
        version=version.version,
        adopted=adopted,
        differs_by=apart,
        manifest=StoredObject(
            key=version_manifest_key(run.model, run.version),
            size=len(data),
            sha256=sha256_of(data),
        ),
    )


def save_model(model: Any, folder: Path, trusted: tuple[str, ...]) -> None:
    """Write all files of a version: an estimator's, or those of a model in another language."""
    if isinstance(model, ExternalModel):
        write_files(folder / MODEL_PREFIX, model.files)
        write_files(folder / SCRIPTS_PREFIX, model.scripts)
    else:
        save(model, folder / MODEL_FILE, trusted)


def _publish(job: Job, fitted: Fitted) -> tuple[VersionManifest, bool]:
    """Publish what was fitted, if it predicts after loading as it did before; return the version.

    The second value is whether another attempt had published the version before.
    """

    def check(loaded: Estimator) -> None:
        if not _difference(fitted, loaded, job.config.problem) <= TOLERANCE:
            raise ArtifactError("the saved model predicts otherwise than the trained one")

    with tempfile.TemporaryDirectory(prefix="retraining-") as name:
        folder = Path(name)
        save_model(fitted.estimator, folder, job.config.training.trusted_types)
        files = tuple(_pinned(folder, name) for name in plain_files(folder))
        manifest = _manifest(job, fitted, files)
        if fitted.walk_forward is not None:
            manifest = _with_windows(job, manifest, fitted.walk_forward)
        return publish_version(
            job.store,
            manifest,
            folder,
            trusted=job.config.training.trusted,
            check=check,
        )


def _with_windows(
    job: Job, manifest: VersionManifest, walk_forward: WalkForward
) -> VersionManifest:
    """Write what the recipe predicted for the periods before the holdout, and name it."""
    data = walk_forward.to_parquet()
    file = PinnedFile(
        name=f"windows-{manifest.attempt}.parquet", size=len(data), sha256=sha256_of(data)
    )
    job.store.write(f"{version_folder(manifest.model, manifest.version)}/{file.name}", data)
    return manifest.model_copy(update={"windows": file})


def _manifest(job: Job, fitted: Fitted, files: tuple[PinnedFile, ...]) -> VersionManifest:
    run, model = job.manifest, fitted.estimator
    made_by: dict[str, Any] = {
        "libraries": _libraries(job.config.training.extras),
        "trusted_types": job.config.training.trusted_types,
    }
    if isinstance(model, ExternalModel):
        command = PredictCommand(
            format=model.format,
            tables=model.tables,
            command=model.command,
            positive=model.positive,
        )
        made_by = {"libraries": (), "trusted_types": (), "predicts_by": command}
    return VersionManifest(
        model=run.model,
        version=run.version,
        fingerprint=run.fingerprint,
        run_id=run.run_id,
        attempt=job.attempt,
        created_at=datetime.now(UTC),
        files=files,
        problem=job.config.problem,
        features=fitted.features,
        feature_types=tuple(type_name(dtype) for dtype in fitted.probe.dtypes),
        feature_categories=categories_of(fitted.probe),
        classes=fitted.classes,
        split=fitted.split,
        rows_used=fitted.used,
        forgotten=fitted.forgotten,
        seed=run.seed,
        code=run.code,
        data=run.delivery.files,
        data_date=run.params.date.isoformat(),
        train_rows=fitted.train_rows,
        train_seconds=round(fitted.train_seconds, 3),
        peak_memory_bytes=cost(job, with_commands=True).peak_memory_bytes,
        model_bytes=sum(one.size for one in files if not one.name.startswith(SCRIPTS_PREFIX)),
        **made_by,
    )


def _libraries(extras: Sequence[str]) -> tuple[Library, ...]:
    """Return the versions of what fits and saves a model, and of what its extras bring."""
    brought = [name for extra in extras for name in own_pins(extra)]
    names = dict.fromkeys((*LIBRARIES, *brought))
    return tuple(Library(name=name, version=library_version(name)) for name in names)


def _difference(fitted: Fitted, other: Estimator, problem: str) -> float:
    """Return how far another model's predictions for the probe lie from those of the fitted one."""
    return greatest_difference(fitted.answers, predict(other, fitted.probe, problem))


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
