"""Which side of a split a key was on, in the delivery that a version was trained on."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pydantic import ValidationError

from include.retraining.config.model import ModelConfig
from include.retraining.config.model_code import dividing_columns, load_model_code
from include.retraining.data.dataset import open_dataset
from include.retraining.data.key_sketch import SALT
from include.retraining.data.reading import reading_of
from include.retraining.data.split import holdout_mask, key_hashes
from include.retraining.exceptions import (
    ConfigError,
    DataChanged,
    DataRejected,
    MissingFolder,
    NotFound,
    TrainingError,
)
from include.retraining.runs.manifest import RunManifest
from include.retraining.store.object_store import Store


class DeliveryGone(Exception):
    """A delivery can no longer be read as it was; the message says why."""


def is_among(keys: pd.Series[Any], key: str) -> bool:
    """Return whether a column has a key, by the hash that files of any format agree on."""
    (wanted,) = key_hashes(pd.Series([key]), SALT)
    return bool((key_hashes(keys, SALT) == wanted).any())


def was_trained_on(store: Store, run: RunManifest, key: str) -> bool:
    """Return whether a key is in the training part of a run's delivery, which is read for it.

    Raises:
        DeliveryGone: when it cannot be read as the run read it.
        StorageError: when the store refuses or does not answer.
    """
    try:
        config = ModelConfig.model_validate(run.config)
        reading = reading_of(config, load_model_code(config))
        columns = dividing_columns(config)
        with open_dataset(store, run.delivery, reading, columns) as dataset:
            about = dataset.frame(columns)
            trained = about[config.data.key][~holdout_mask(about, config)]
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        raise DeliveryGone(f"its plan has other fields than this code knows ({field})") from error
    except (
        ConfigError,
        DataChanged,
        DataRejected,
        MissingFolder,
        NotFound,
        TrainingError,
    ) as error:
        raise DeliveryGone(str(error)) from error
    return is_among(trained, key)
