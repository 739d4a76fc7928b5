"""The holdout: the rows that every version is scored on."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import pandas as pd

from include.retraining.config.model import ModelConfig, TimeSplit
from include.retraining.config.model_code import ModelCode, training_columns
from include.retraining.data.arrays import Column, Labels
from include.retraining.data.dataset import read_dataset
from include.retraining.data.labels import label_values
from include.retraining.data.reading import Reading, reading_of
from include.retraining.data.split import (
    holdout_mask,
    key_values,
    keys_on_both_sides,
    split_used,
    times,
)
from include.retraining.data.split_record import SplitUsed
from include.retraining.exceptions import DataRejected
from include.retraining.runs.manifest import RunManifest
from include.retraining.store.object_store import Store
from include.retraining.training.predictions import rows_digest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HoldoutRows:
    """The rows of the holdout, and what there is to know of the others."""

    frame: pd.DataFrame
    keys: Column
    labels: Labels
    """As `label_values` returns them."""
    split: SplitUsed
    oldest: datetime | None
    """For a split by time, the time of the oldest row."""
    rows_in_training: int
    """Keys that are in the training part as well; counted, not assumed."""
    train_labels: Labels

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.labels)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 over keys and labels, in order."""
        return rows_digest(key_values(self.keys), self.labels)


def read_holdout(
    store: Store,
    run: RunManifest,
    config: ModelConfig,
    code: ModelCode,
    *,
    also: Collection[str] = (),
) -> HoldoutRows:
    """Read a run's delivery once and keep the rows of the holdout.

    Args:
        store: where the delivery lies.
        run: what it pinned.
        config: the model's.
        code: the model's, for its features.
        also: columns that earlier versions read; left out where the delivery lacks one of them.
    """
    columns = training_columns(config, code)
    columns += [rule.column for rule in config.gates.slices]
    columns += sorted(config.protected_columns)
    frame = _read(store, run, reading_of(config, code), list(dict.fromkeys(columns)), sorted(also))
    mask = holdout_mask(frame, config)
    split = split_used(frame, mask, config)
    labels = label_values(frame[config.data.label], config.problem)
    in_training = keys_on_both_sides(frame[config.data.key], mask)
    frame = frame[mask]
    oldest = None
    if isinstance(config.data.split, TimeSplit):
        oldest = times(frame[config.data.split.column]).min().to_pydatetime(warn=False)
    return HoldoutRows(
        frame=frame,
        keys=frame[config.data.key].to_numpy(),
        labels=labels[mask],
        split=split,
        oldest=oldest,
        rows_in_training=in_training,
        train_labels=labels[~mask],
    )


def _read(
    store: Store, run: RunManifest, reading: Reading, columns: list[str], also: list[str]
) -> pd.DataFrame:
    more = [name for name in also if name not in columns]
    if more:
        try:
            return read_dataset(store, run.delivery, reading.guessing(more), columns + more)
        except DataRejected as error:
            log.warning("the delivery lacks what an earlier version reads: %s", error)
    return read_dataset(store, run.delivery, reading, columns)
