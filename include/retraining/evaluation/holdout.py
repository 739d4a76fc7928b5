"""The holdout: the rows that every version is scored on."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from include.retraining.config.model import ModelConfig, TimeSplit
from include.retraining.config.model_code import ModelCode, dividing_columns, training_columns
from include.retraining.data.arrays import Column, Labels
from include.retraining.data.dataset import open_dataset
from include.retraining.data.forget_list import divide_remaining, forgotten_places
from include.retraining.data.kept_rows import KeptRows
from include.retraining.data.labels import label_values
from include.retraining.data.reading import Reading, reading_of
from include.retraining.data.split import (
    holdout_mask,
    key_values,
    keys_on_both_sides,
    split_used,
    times,
    training_mask,
)
from include.retraining.data.split_record import SplitUsed
from include.retraining.data.time_windows import TimeWindow, earlier_windows
from include.retraining.exceptions import DataRejected
from include.retraining.runs.manifest import RunManifest
from include.retraining.store.object_store import Store
from include.retraining.training.predictions import rows_digest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WindowRows:
    """The rows of a period before the holdout."""

    after: datetime
    """They are younger than this."""
    until: datetime
    """And no younger than this."""
    frame: pd.DataFrame
    keys: pd.Series[Any]
    labels: Labels
    """As `label_values` returns them."""
    times: pd.Series[pd.Timestamp]
    train_labels: Labels
    """Of the rows that the recipe was fitted to for it."""

    @cached_property
    def digest(self) -> str:
        """The SHA-256 over keys and labels, in order."""
        return rows_digest(key_values(self.keys.to_numpy()), self.labels)


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
    earlier: tuple[WindowRows, ...] = ()
    """The periods before the holdout that the recipe is judged on as well, the newest first."""

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
    columns = list(dict.fromkeys(columns))
    reading = reading_of(config, code)
    more = [name for name in sorted(also) if name not in columns]
    if more:
        try:
            return _read(store, run, config, reading.guessing(more), columns + more)
        except DataRejected as error:
            log.warning("the delivery lacks what an earlier version reads: %s", error)
    return _read(store, run, config, reading, columns)


def _read(
    store: Store, run: RunManifest, config: ModelConfig, reading: Reading, columns: list[str]
) -> HoldoutRows:
    """Read column by column: only the rows of the holdout are ever together."""
    data = config.data
    with open_dataset(store, run.delivery, reading, columns) as dataset:
        about = dataset.frame(dividing_columns(config))
        mask = holdout_mask(about, config)
        left_out = forgotten_places(store, run, about[data.key])
        older, mask = divide_remaining(mask, left_out)
        training = training_mask(about, older, config)
        windows = earlier_windows(about, older, config)
        scored = np.logical_or.reduce([mask, *(window.rows for window in windows)])
        kept = KeptRows(scored, len(columns))
        for column in dataset.columns(columns):
            kept.add(column)
    labels, rows = label_values(about[data.label], config.problem), kept.frame()
    frame = rows[mask[scored]] if windows else rows
    earlier = tuple(
        _window_rows(window, rows[window.rows[scored]], labels, config) for window in windows
    )
    split = split_used(about, training, config)
    train_labels, labels = labels[training], labels[mask]
    if len(left_out):
        about, mask = about.drop(index=about.index[left_out]), np.delete(mask, left_out)
    oldest = None
    if isinstance(data.split, TimeSplit):
        oldest = times(frame[data.split.column]).min().to_pydatetime(warn=False)
    return HoldoutRows(
        frame=frame,
        keys=frame[data.key].to_numpy(),
        labels=labels,
        split=split,
        oldest=oldest,
        rows_in_training=keys_on_both_sides(about[data.key], mask),
        train_labels=train_labels,
        earlier=earlier,
    )


def _window_rows(
    window: TimeWindow, frame: pd.DataFrame, labels: Labels, config: ModelConfig
) -> WindowRows:
    split = config.data.split
    assert isinstance(split, TimeSplit)  # noqa: S101 a split by key has no windows
    return WindowRows(
        after=window.after,
        until=window.until,
        frame=frame,
        keys=frame[config.data.key],
        labels=labels[window.rows],
        times=times(frame[split.column]),
        train_labels=labels[window.training],
    )
