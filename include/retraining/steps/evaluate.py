"""Evaluation: challenger, champion and naive baseline on the same rows, in one process."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.retraining.config.model import ModelConfig
from include.retraining.config.model_code import ModelCode, load_model_code
from include.retraining.data.key_sketch import sketch_keys
from include.retraining.data.split import key_texts
from include.retraining.documents import sha256_of
from include.retraining.evaluation.contenders import (
    Contender,
    find_opponents,
    measure_latency,
    predict_holdout,
)
from include.retraining.evaluation.explanation import explain
from include.retraining.evaluation.holdout import HoldoutRows, read_holdout
from include.retraining.evaluation.looks import take_look
from include.retraining.evaluation.naive_baseline import naive_baseline
from include.retraining.evaluation.scoring import make_report
from include.retraining.evaluation.shuffling import Shuffler, random_order
from include.retraining.evaluation.window_predictions import predict_windows, read_kept
from include.retraining.gate.report import Try
from include.retraining.registry.versions import (
    VersionManifest,
    check_provenance,
    load_estimator,
    read_version,
)
from include.retraining.runs.foreign_errors import model_errors
from include.retraining.runs.job import Job, cost
from include.retraining.runs.results import EvaluateResult, StoredObject, find_result, read_result
from include.retraining.training.command_model import started
from include.retraining.training.prediction_checks import check_predictions
from include.retraining.training.predictions import predict, prediction_columns

log = logging.getLogger(__name__)


def evaluate(job: Job) -> EvaluateResult:
    """Score challenger, champion, the best recent champion and a naive baseline.

    Writes what each of them predicted, then the report, and beside it what the columns are worth.

    Raises:
        EvidenceError: when the evidence of the training is missing, or of something else.
        ArtifactError: when the challenger is not what its manifest says or cannot be loaded.
        TrainingError: when the challenger cannot predict.
        DataChanged: when a pinned file is no longer what was pinned.
        RegistryError: when the promotion log cannot be read.
    """
    store, run, config = job.store, job.manifest, job.config
    version = _trained_version(job)
    opponents = find_opponents(store, run.model, config.gates.metric)
    read_by_others = {name for opponent in opponents for name in opponent.features}
    code = load_model_code(config)
    holdout = read_holdout(store, run, config, code, also=read_by_others)
    log.info("scoring on %s holdout rows", f"{holdout.rows:,}")
    shuffler = _shuffler(job, code, holdout)
    contenders = [
        _challenger(job, version, holdout, shuffler),
        *_predicted(job, opponents, holdout, shuffler),
        _baseline(config, holdout, code),
    ]
    champion = opponents[0].serving if opponents else None
    # Before anybody knows a score.
    tried = _take_look(job, holdout, generation=champion.generation if champion else 0)
    report = make_report(run, config, holdout, contenders, scorers=code.scorers, tried=tried)
    table = predictions_table(holdout, contenders, config)
    if find_result(store, job.paths, run, "evaluate") is not None:
        # Another attempt was faster: what its result names must stay as it is.
        return read_result(store, job.paths, run, "evaluate")
    importances = explain(config, holdout, contenders, report, shuffler)
    store.write(job.paths.importances, importances.to_bytes())
    return EvaluateResult(
        run_id=run.run_id,
        fingerprint=run.fingerprint,
        version=run.version,
        predictions=_write(job, job.paths.predictions, table),
        report=_write(job, job.paths.evaluation, report.to_bytes()),
        finished_at=datetime.now(UTC),
        cost=cost(job, with_commands=True),
    )


def _trained_version(job: Job) -> VersionManifest:
    """Return the version that this run's training left, checked against the run."""
    run = job.manifest
    trained = read_result(job.store, job.paths, run, "train")
    version = read_version(job.store, run.model, run.version, digest=trained.manifest.sha256)
    check_provenance(version, run)
    return version


def _shuffler(job: Job, code: ModelCode, holdout: HoldoutRows) -> Shuffler | None:
    """Return what asks versions about shuffled columns; None without a metric to score by."""
    known = [name for name in job.config.gates.metrics if name not in code.scorers]
    if not known:
        return None
    order = random_order(holdout.rows)
    return Shuffler(known[0], order, time_so_far=lambda: time.time() - job.started)


def _challenger(
    job: Job, version: VersionManifest, holdout: HoldoutRows, shuffler: Shuffler | None
) -> Contender:
    """Load the challenger and have it predict the holdout; nothing of it stays in memory."""
    config = job.config
    estimator = load_estimator(job.store, version, config.training.trusted)
    kept = read_kept(job.store, version, holdout)
    rows = holdout.frame[list(version.features)]
    with model_errors(config, "predicting the holdout"), started(estimator) as model:
        predictions = predict(model, rows, config.problem)
        latency_ms = measure_latency(model, rows)
        shuffled = shuffler(model, rows, predictions, latency_ms) if shuffler else None
        earlier = predict_windows(kept, version, holdout, model)
    where = f"include/models/{config.name}.py: version {version.version}"
    check_predictions(predictions, where=where, classes=version.classes)
    return Contender(
        "challenger",
        manifest=version,
        predictions=predictions,
        latency_ms=latency_ms,
        shuffled=shuffled,
        earlier=earlier,
    )


def _predicted(
    job: Job, opponents: Sequence[Contender], holdout: HoldoutRows, shuffler: Shuffler | None
) -> list[Contender]:
    """Have the opponents predict the holdout; only the champion is asked about its columns."""
    return [
        predict_holdout(
            job.store,
            opponent,
            holdout,
            problem=job.config.problem,
            trusted=job.config.training.trusted,
            shuffler=shuffler if opponent.role == "champion" else None,
        )
        for opponent in opponents
    ]


def _baseline(config: ModelConfig, holdout: HoldoutRows, code: ModelCode) -> Contender:
    return naive_baseline(
        holdout.train_labels,
        holdout.rows,
        problem=config.problem,
        metric=config.gates.metric,
        positive=config.data.positive,
        scorer=code.scorers.get(config.gates.metric),
    )


def _take_look(job: Job, holdout: HoldoutRows, *, generation: int) -> Try:
    run = job.manifest
    return take_look(
        job.store,
        run.model,
        version=run.version,
        holdout_digest=holdout.digest,
        keys=sketch_keys(pd.Series(holdout.keys)),
        generation=generation,
        run_id=run.run_id,
    )


def predictions_table(
    holdout: HoldoutRows, contenders: Sequence[Contender], config: ModelConfig
) -> bytes:
    """Return key, label and what each contender predicts as Parquet; no features, no groups."""
    columns: dict[str, Any] = {
        "key": key_texts(pd.Series(holdout.keys)),
        "label": holdout.labels,
    }
    for contender in contenders:
        if contender.predictions is not None:
            columns |= prediction_columns(
                contender.role, contender.predictions, config.problem, config.data.positive
            )
    buffer = BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    return buffer.getvalue()


def _write(job: Job, key: str, data: bytes) -> StoredObject:
    job.store.write(key, data)
    return StoredObject(key=key, size=len(data), sha256=sha256_of(data))
