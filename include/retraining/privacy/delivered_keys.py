"""Which side of a split a key was on, in the delivery that a version was trained on."""

from __future__ import annotations

from typing import Any

import pandas as pd

from include.retraining.config.model_code import dividing_columns, load_model_code
from include.retraining.data.dataset import open_dataset
from include.retraining.data.forget_list import forgotten_places
from include.retraining.data.key_sketch import SALT
from include.retraining.data.reading import reading_of
from include.retraining.data.split import holdout_mask, key_hashes
from include.retraining.exceptions import (
    CodeChanged,
    ConfigError,
    DataChanged,
    DataRejected,
    EvidenceError,
    MissingFolder,
    NotFound,
    TrainingError,
)
from include.retraining.runs.job import planned_config
from include.retraining.runs.manifest import RunManifest
from include.retraining.store.object_store import Store

UNREADABLE = (
    CodeChanged,
    ConfigError,
    DataChanged,
    DataRejected,
    EvidenceError,
    MissingFolder,
    NotFound,
    TrainingError,
)
"""Why a delivery, or the model's code that says how to read it, may be gone or another by now."""


def is_among(keys: pd.Series[Any], key: str) -> bool:
    """Return whether a column has a key, by the hash that files of any format agree on."""
    (wanted,) = key_hashes(pd.Series([key]), SALT)
    return bool((key_hashes(keys, SALT) == wanted).any())


def was_trained_on(store: Store, run: RunManifest, key: str) -> bool:
    """Return whether a key is in the training part of a run's delivery, which is read for it.

    Raises:
        RetrainingError: one of `UNREADABLE` when it cannot be read as the run read it.
        StorageError: when the store refuses or does not answer.
    """
    config = planned_config(run)
    reading = reading_of(config, load_model_code(config))
    columns = dividing_columns(config)
    with open_dataset(store, run.delivery, reading, columns) as dataset:
        about = dataset.frame(columns)
    training = ~holdout_mask(about, config)
    training[forgotten_places(store, run, about[config.data.key])] = False
    return is_among(about[config.data.key][training], key)
