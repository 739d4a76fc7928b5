"""Trying a version before it serves again: it verifies, loads and answers."""

from __future__ import annotations

import logging
import shutil
from itertools import islice

import numpy as np
import pandas as pd
from pydantic import ValidationError

from include.retraining.config.model import ModelConfig, TimeSplit
from include.retraining.config.model_code import load_model_code
from include.retraining.data.dataset import read_dataset
from include.retraining.data.reading import reading_of
from include.retraining.data.split import holdout_mask
from include.retraining.decisions.record import DecisionRecord
from include.retraining.decisions.records import decisions
from include.retraining.exceptions import (
    ArtifactError,
    ConfigError,
    DataChanged,
    DataRejected,
    EvidenceError,
    NotFound,
    StorageError,
    TrainingError,
)
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.registry.versions import VersionManifest, load_estimator, read_version
from include.retraining.runs.exhaustion import exhausted
from include.retraining.runs.foreign_errors import withheld
from include.retraining.runs.manifest import RunManifest, current_plan, read_manifest
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store
from include.retraining.training.predictions import Predictions, predict

log = logging.getLogger(__name__)

MAX_RUNS_SEARCHED = 20
MAX_DELIVERIES_TRIED = 3
MAX_ROWS = 10_000


def smoke_test_version(store: Store, config: ModelConfig, version: str) -> str:
    """Load a version that served, and have it predict the holdout that was scored last.

    Deliveries that are gone or altered by now are skipped. Where none is left, the version is only
    loaded: lost data must not block a rollback to a version that served well.

    Args:
        store: with the version, the runs and their deliveries.
        config: the model's, as it is now.
        version: its name.

    Returns:
        What was tried, in a sentence.

    Raises:
        NotFound: when it never served.
        ArtifactError: when its files were altered, or it does not load or does not predict.
        StorageError: when the store refuses or does not answer.
    """
    served = PromotionLog(store, config.name).served(version)
    manifest = read_version(store, config.name, version, digest=served.version_digest)
    estimator = load_estimator(store, manifest, config.training.trusted)
    if manifest.predicts_by and shutil.which(manifest.predicts_by.command[0]) is None:
        missing = f"there is no {manifest.predicts_by.command[0]!r} on this machine"
        return f"version {version} verifies; it was not tried on data: {missing}"
    rows, where = _last_holdout(store, manifest)
    if rows is None:
        return f"version {version} verifies and loads; it was not tried on data: {where}"
    try:
        _require_answers(predict(estimator, rows, manifest.problem))
    except TrainingError as error:  # its command's, or what it gives
        raise ArtifactError(f"version {version} does not answer: {error}") from error
    except Exception as error:  # any error of the model's code means that it does not predict
        if exhausted(error) is not None:
            raise  # which says nothing of the version
        raise ArtifactError(f"version {version} does not answer: {withheld(error, log)}") from error
    return (
        f"version {version} verifies, loads and answers on {len(rows):,} rows of the holdout of "
        f"run {where}"
    )


def _last_holdout(store: Store, version: VersionManifest) -> tuple[pd.DataFrame | None, str]:
    """Return what a version reads of the last holdout, and of which run it is, or why none is."""
    records = decisions(store, version.model, limit=MAX_RUNS_SEARCHED)
    evaluated = (record for record in records if record.report is not None)
    problems = []
    try:
        for record in islice(evaluated, MAX_DELIVERIES_TRIED):
            try:
                return _holdout(store, _plan_of(store, record), version), record.run_id
            except (ConfigError, DataChanged, EvidenceError, NotFound, StorageError) as error:
                problems.append(f"run {record.run_id}: {error}")
            except ValidationError:
                problems.append(f"run {record.run_id}: this code cannot read its configuration")
            except DataRejected as error:
                raise ArtifactError(
                    f"version {version.version} does not answer: the holdout of run "
                    f"{record.run_id} is not what it reads: {error}"
                ) from error
    except EvidenceError as error:  # a record: it must not block a rollback either
        problems.append(str(error))
    return None, problems[0] if problems else "no run was evaluated yet"


def _plan_of(store: Store, record: DecisionRecord) -> RunManifest:
    return read_manifest(store, current_plan(store, RunPaths(record.model, record.run)))


def _holdout(store: Store, run: RunManifest, version: VersionManifest) -> pd.DataFrame:
    config = ModelConfig.model_validate(run.config)
    split = config.data.split
    column = split.column if isinstance(split, TimeSplit) else config.data.key
    names = list(dict.fromkeys((column, *version.features)))
    reading = reading_of(config, load_model_code(config)).guessing(version.features)
    frame = read_dataset(store, run.delivery, reading, names)
    rows: pd.DataFrame = frame.loc[holdout_mask(frame, config), list(version.features)]
    return rows.head(MAX_ROWS)


def _require_answers(answers: Predictions) -> None:
    numbers = [answers.values] if answers.values.dtype.kind == "f" else []
    numbers += [] if answers.probabilities is None else [answers.probabilities]
    if not all(np.isfinite(array).all() for array in numbers):
        raise TrainingError("it gives values that are no finite numbers")
