"""Comparing an input that was scored, and its predictions, with the version that predicted.

The predictions are compared with those that the version made on the holdout that its gate judged:
rows that it had not seen either.
"""

from __future__ import annotations

import io
import logging
from datetime import UTC, datetime
from typing import NamedTuple

import pandas as pd
import pyarrow.parquet as pq

from include.retraining.config.command_protocol import PREDICTION as PREDICTED
from include.retraining.config.command_protocol import PROBABILITY
from include.retraining.config.model_code import load_model_code
from include.retraining.data.dataset import open_dataset
from include.retraining.data.reading import reading_of
from include.retraining.exceptions import EvidenceError, NotFound
from include.retraining.monitoring.column_profile import ColumnProfile, profile_column
from include.retraining.monitoring.comparison import Comparison
from include.retraining.monitoring.drift import PREDICTION, Drift, read_drifts, write_drift
from include.retraining.monitoring.drift_limits import MAX_READ, LearnedLimits
from include.retraining.monitoring.gate_evidence import evaluation_of
from include.retraining.monitoring.profile import read_profile
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.scoring.job import ScoreJob
from include.retraining.scoring.result import ScoredPartition, ScoreResult
from include.retraining.scoring.scores import Scores, ScoresFolder
from include.retraining.serving.version import SCORE
from include.retraining.store.layout import drift_key
from include.retraining.store.redaction import redact

log = logging.getLogger(__name__)


class PredictedBefore(NamedTuple):
    """What a version predicted on its holdout."""

    column: str
    """The column of the scores that is the same."""
    profile: ColumnProfile


def observe_scored(job: ScoreJob, result: ScoreResult) -> list[Drift]:
    """Compare the inputs that a run scored; what fails is logged, as the scores count without it.

    Args:
        job: the scoring job.
        result: what it has left.
    """
    drifts = []
    for partition in result.partitions:
        if job.store.exists(drift_key(job.manifest.model, "scoring", _window(partition))):
            continue  # another run scored and compared it
        try:
            drifts.append(_observe(job, partition))
        except Exception as error:  # noqa: BLE001 the scores are complete, whatever is wrong here
            name = partition.name
            log.warning("%s: not compared: %s: %s", name, type(error).__name__, redact(str(error)))
    return drifts


def _observe(job: ScoreJob, partition: ScoredPartition) -> Drift:
    folder = ScoresFolder.at(job.store, partition.output)
    scores = folder.read(partition.number)
    drift = Drift(
        model=scores.model,
        source="scoring",
        window=_window(partition),
        judged_at=datetime.now(UTC),
        version=scores.version,
        generation=scores.generation,
        rows=0,
        inputs={file.name: file.sha256 for file in scores.input.files},
    )
    try:
        profile = read_profile(job.store, scores.model, scores.version)
        earlier = read_drifts(job.store, scores.model, "scoring", limit=MAX_READ)
    except (EvidenceError, NotFound) as error:
        return write_drift(job.store, drift.model_copy(update={"cannot_judge": str(error)}))
    before = [one for one in earlier if one.window < drift.window]
    columns = dict(profile.columns)
    predicted = _predicted_before(job, scores)
    if predicted is not None:
        columns[PREDICTION] = predicted.profile
    limits = LearnedLimits(before, generation=scores.generation)
    comparison = Comparison(columns, limits)
    reading = reading_of(job.config, load_model_code(job.config)).guessing(profile.columns)
    with open_dataset(job.store, scores.input, reading) as dataset:
        for column in dataset.columns([name for name in profile.columns if name in dataset.names]):
            comparison.add(column)
        rows = dataset.rows
    if predicted is not None:
        comparison.add(_predictions(folder, scores, predicted.column))
    return write_drift(job.store, comparison.finish(drift, rows))


def _window(partition: ScoredPartition) -> str:
    return f"{partition.name}.{partition.number:08d}"


def _predicted_before(job: ScoreJob, scores: Scores) -> PredictedBefore | None:
    """Return what the version predicted on its holdout; None when that is not in the store."""
    try:
        entry = PromotionLog(job.store, scores.model).entry(scores.generation)
        evaluated = evaluation_of(job.store, entry)
    except (EvidenceError, NotFound) as error:
        log.warning("the predictions of version %s are not compared: %s", scores.version, error)
        return None
    table = pq.read_table(io.BytesIO(job.store.read(evaluated.predictions.key)))
    same = {
        "challenger_probability": f"{PROBABILITY}_{job.config.data.positive}",
        "challenger_score": SCORE,
        "challenger": PREDICTED,
    }
    for judged, scored in same.items():
        if judged in table.column_names and scored in scores.columns:
            profile = profile_column(table[judged].to_pandas())
            return None if profile is None else PredictedBefore(scored, profile)
    return None


def _predictions(folder: ScoresFolder, scores: Scores, column: str) -> pd.Series[float]:
    parts = [
        pq.read_table(
            io.BytesIO(folder.store.read(folder.key(file.name))), columns=[column]
        ).to_pandas()
        for file in scores.files
    ]
    predictions: pd.Series[float] = pd.concat(parts)[column]
    return predictions.rename(PREDICTION)
