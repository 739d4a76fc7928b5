"""Training a run again from its manifest, and holding what comes out against what was stored."""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from pydantic import ValidationError

from include.retraining.config.model import ModelConfig
from include.retraining.config.model_code import load_model_code
from include.retraining.data.arrays import Column
from include.retraining.documents import Document
from include.retraining.evaluation.holdout import read_holdout
from include.retraining.exceptions import CodeChanged, EvidenceError
from include.retraining.fingerprint.digests import current_code
from include.retraining.fingerprint.fingerprint import fingerprint_of, version_of
from include.retraining.fingerprint.pinned import Code
from include.retraining.formatting.numbers import number
from include.retraining.gate.report import EvaluationReport
from include.retraining.registry.versions import MODEL_FILE
from include.retraining.runs.manifest import RunManifest, read_manifest
from include.retraining.runs.results import read_result
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store
from include.retraining.training.command_model import ExternalModel
from include.retraining.training.estimator import Estimator
from include.retraining.training.fitting import Fitted, fit
from include.retraining.training.predictions import (
    Predictions,
    number_distance,
    predict,
    prediction_columns,
    relative_distance,
)
from include.retraining.training.skops_files import load_saved, save

TOLERANCE = 1e-9
"""Threads may add in another order: numbers this close, relative to their size, are the same."""


class Reproduction(Document):
    """What training a run again led to."""

    model: str
    run_id: str
    version: str
    """The run's version."""
    version_again: str
    """What the same data, the present code and the run's seed name it."""
    changed_code: tuple[str, ...]
    """Which parts of the code are not what the run used; the present code was used instead."""
    is_same_holdout: bool
    """Whether the same rows with the same labels were held out."""
    holdout_rows: int
    rows_that_differ: int
    """Rows of the holdout that are predicted otherwise than stored, however little."""
    greatest_difference: float | None
    """The greatest distance of a predicted number or probability; None where rows or predicted
    classes differ, so that there is no distance."""
    relative_difference: float | None
    """The same, relative to the greatest number where numbers are greater than 1."""
    train_seconds: float

    @property
    def is_same(self) -> bool:
        """Whether the same predictions for the same rows resulted, by whichever code."""
        return (
            self.is_same_holdout
            and self.relative_difference is not None
            and self.relative_difference <= TOLERANCE
        )

    @property
    def lines(self) -> list[str]:
        """The result, as lines for a terminal."""
        same_version = "the same version" if self.version == self.version_again else "another one"
        lines = [
            f"{self.model}, run {self.run_id}: trained again in {self.train_seconds:.1f} s",
            f"version {self.version}, again {self.version_again}: {same_version}",
            "code: "
            + (f"differs in {', '.join(self.changed_code)}" if self.changed_code else "same"),
        ]
        if not self.is_same_holdout:
            lines.append("holdout: other rows or labels than those of the run")
        elif self.rows_that_differ == 0:
            lines.append(f"predictions on {self.holdout_rows:,} holdout rows: equal, bit for bit")
        else:
            apart = self.greatest_difference
            how = "some by their class" if apart is None else f"by at most {number(apart)}"
            rows = f"{self.holdout_rows:,} holdout rows: {self.rows_that_differ:,} differ"
            lines.append(f"predictions on {rows}, {how}")
        lines.append(self._conclusion)
        return lines

    @property
    def _conclusion(self) -> str:
        if not self.is_same:
            return "NOT reproduced"
        if self.version == self.version_again:
            return "reproduced"
        return "reproduced, by code that gives the version another name"


def reproduce(store: Store, paths: RunPaths) -> Reproduction:
    """Train a run again and compare. Nothing is written to the store.

    Args:
        store: where the run lies.
        paths: the run, which must have been evaluated.

    Raises:
        NotFound: when there is no such run.
        CodeChanged: when the run was planned by code whose YAML had other fields.
        EvidenceError: when it was not evaluated, or its evidence was altered.
        DataChanged: when the delivery is no longer what the run pinned.
        TrainingError: when the model's own code fails now.
    """
    run = read_manifest(store, paths)
    config = _configuration(run)
    evaluated = read_result(store, paths, run, "evaluate")
    report = EvaluationReport.from_bytes(
        store.read(evaluated.report.key), where=evaluated.report.key
    )
    code = _present_code(config)
    again = fingerprint_of(
        delivery=run.delivery,
        code=code,
        training_view=config.training_view,
        seed=run.seed,
        only_run=run.run_id if run.params.force_retrain else None,
        forget=run.forget,
    )
    predictions, digest, seconds = _train_and_predict(store, run, config)
    is_same_holdout = digest == report.holdout.digest
    differing, apart, relative = 0, None, None
    if is_same_holdout:
        new = prediction_columns("challenger", predictions, config.problem, config.data.positive)
        old = _stored_predictions(store, evaluated.predictions.key, new)
        differing, apart, relative = _compare(new, old, is_number=config.problem == "regression")
    return Reproduction(
        model=run.model,
        run_id=run.run_id,
        version=run.version,
        version_again=version_of(again),
        changed_code=tuple(
            name.removesuffix("_digest")
            for name in ("training_digest", "python")
            if getattr(code, name) != getattr(run.code, name)
        ),
        is_same_holdout=is_same_holdout,
        holdout_rows=len(predictions.values),
        rows_that_differ=differing,
        greatest_difference=apart,
        relative_difference=relative,
        train_seconds=round(seconds, 3),
    )


def _present_code(config: ModelConfig) -> Code:
    extras, scorers = config.training.extras, config.gates.scorer_modules
    return current_code(config.name, extras=extras, scorers=scorers)


def _stored_predictions(store: Store, key: str, columns: Collection[str]) -> dict[str, Column]:
    """Return what the run's challenger predicted, by the same columns as those of the new one.

    Raises:
        EvidenceError: when the run stored other columns.
    """
    stored = pq.read_table(io.BytesIO(store.read(key))).to_pandas()
    predictions = {name: stored[name].to_numpy() for name in stored if name in columns}
    if set(predictions) != set(columns):
        raise EvidenceError(f"{key}: holds other columns than the model's")
    return predictions


def _configuration(run: RunManifest) -> ModelConfig:
    try:
        return ModelConfig.model_validate(run.config)
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        raise CodeChanged(
            f"{run.model}/{run.run}: planned by code whose YAML had other fields ({field}): "
            f"reproduce it with that code, commit {run.code.git_sha or 'unknown'}"
        ) from error


def _train_and_predict(
    store: Store, run: RunManifest, config: ModelConfig
) -> tuple[Predictions, str, float]:
    """Return a new model's predictions, the digest of the holdout, and the seconds of its fit."""
    fitted = fit(store, run, config)
    estimator = _saved_and_loaded(fitted, config.training.trusted_types)
    holdout = read_holdout(store, run, config, load_model_code(config))
    predictions = predict(estimator, holdout.frame[list(fitted.features)], config.problem)
    return predictions, holdout.digest, fitted.train_seconds


def _saved_and_loaded(fitted: Fitted, trusted: tuple[str, ...]) -> Estimator:
    """Return the model as a version of it would be loaded."""
    if isinstance(fitted.estimator, ExternalModel):  # files as they are
        return fitted.estimator
    with tempfile.TemporaryDirectory(prefix="retraining-") as name:
        path = Path(name, MODEL_FILE)
        save(fitted.estimator, path, trusted)
        return load_saved(path.read_bytes(), str(path), trusted)


def _compare(
    new: dict[str, Column], old: dict[str, Column], *, is_number: bool
) -> tuple[int, float | None, float | None]:
    """Return how many rows differ, by how much at most, and that relative to the numbers' size.

    None and None where classes differ.
    """
    differs = np.logical_or.reduce([new[name] != old[name] for name in new])
    is_other_class = not is_number and bool((new["challenger"] != old["challenger"]).any())
    numbers = [name for name in new if is_number or name != "challenger"]
    apart = max((number_distance(new[name], old[name]) for name in numbers), default=0.0)
    if is_other_class or not math.isfinite(apart):
        return int(differs.sum()), None, None
    relative = max((relative_distance(new[name], old[name]) for name in numbers), default=0.0)
    return int(differs.sum()), apart, relative
