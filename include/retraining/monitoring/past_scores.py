"""What versions predicted for a partition: the scores that lie there, or those of a version before.

No feature is read but for the version before, which predicts the same input if that is still there.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.retraining.config.command_protocol import PREDICTION, PROBABILITY
from include.retraining.config.model import ModelConfig
from include.retraining.config.model_code import ModelCode
from include.retraining.data.arrays import Positions
from include.retraining.data.dataset import read_dataset
from include.retraining.data.reading import reading_of
from include.retraining.data.split import key_texts
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.versions import VersionManifest
from include.retraining.scoring.partitions import scoring_of
from include.retraining.scoring.scores import Scores, ScoresFolder, input_digest
from include.retraining.serving.version import SCORE, load_served
from include.retraining.store.object_store import Store
from include.retraining.training.predictions import Predictions


class ScoredRows(NamedTuple):
    """The rows of a partition, in the order of their file."""

    keys: pd.Index[str]
    """As texts, so that 12 and "12" are one key."""
    predictions: Predictions

    def take(self, positions: Positions) -> Predictions:
        """Return what was predicted for some of the rows."""
        every = self.predictions
        return replace(
            every,
            values=every.values[positions],
            probabilities=None if every.probabilities is None else every.probabilities[positions],
            scores=None if every.scores is None else every.scores[positions],
        )


def key_of(config: ModelConfig) -> str:
    """Return the column that names a row of the scores."""
    return scoring_of(config).key or config.data.key


def read_scored(
    folder: ScoresFolder, scores: Scores, version: VersionManifest, config: ModelConfig
) -> ScoredRows:
    """Return what a version predicted for a partition, verified against its manifest.

    Args:
        folder: of the partition.
        scores: the manifest.
        version: that made them.
        config: the model's.

    Raises:
        ArtifactError: when a file is missing or altered.
        StorageError: when the store refuses or does not answer.
    """
    folder.verify(scores)
    tables = [
        pq.read_table(io.BytesIO(folder.store.read(folder.key(file.name)))) for file in scores.files
    ]
    frame = pa.concat_tables(tables).to_pandas()
    return ScoredRows(keys_as_text(frame[key_of(config)]), _predictions(frame, version))


def keys_as_text(keys: pd.Series[Any]) -> pd.Index[str]:
    """Return keys as the texts that stand for them in a file."""
    texts: pd.Index[str] = pd.Index(key_texts(keys).to_numpy(zero_copy_only=False), dtype=object)
    return texts


def predict_as(
    store: Store,
    entry: PromotionEntry,
    version: VersionManifest,
    scores: Scores,
    folder: ScoresFolder,
    *,
    config: ModelConfig,
    code: ModelCode,
) -> ScoredRows:
    """Return what another version predicts for the input of a partition: its own scores, or new.

    Args:
        store: with the versions.
        entry: by which the other version served.
        version: its manifest.
        scores: of the partition: they name the input.
        folder: of the partition.
        config: the model's.
        code: the model's.

    Raises:
        DataChanged: when the input is gone or no longer what was scored.
        DataRejected: when the other version reads a column that the input lacks.
        ArtifactError: when the version's files are damaged or may not be loaded.
        TrainingError: when it cannot predict these rows.
        StorageError: when the store refuses or does not answer.
    """
    earlier = folder.earlier(entry.version, input_digest(scores.input))
    if earlier is not None:
        return read_scored(folder, earlier, version, config)
    key = key_of(config)
    columns = list(dict.fromkeys((key, *version.features)))
    reading = reading_of(config, code).guessing(version.features)
    frame = read_dataset(store, scores.input, reading, columns)
    loaded = load_served(store, entry, config.training.trusted)
    return ScoredRows(keys_as_text(frame[key]), _predictions(loaded.predict(frame), version))


def _predictions(frame: pd.DataFrame, version: VersionManifest) -> Predictions:
    """Return the columns that `LoadedVersion.predict` gave, as predictions."""
    values = frame[PREDICTION].to_numpy()
    if version.problem == "regression":
        return Predictions(values.astype(np.float64, copy=False), None, None)
    classes = version.classes or ()
    names = [f"{PROBABILITY}_{name}" for name in classes]
    has_probabilities = bool(names) and set(names) <= set(frame.columns)
    return Predictions(
        values,
        frame[names].to_numpy(dtype=np.float64) if has_probabilities else None,
        classes,
        frame[SCORE].to_numpy(dtype=np.float64) if SCORE in frame.columns else None,
    )
