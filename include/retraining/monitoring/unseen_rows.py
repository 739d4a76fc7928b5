"""The rows of a delivery that a version was neither trained nor judged on.

A split by key keeps a row on its side in every delivery, so that a version was trained on no key of
its holdout side, in whichever delivery that key comes. A split by time does the same by the newest
row of the training. Of what is left, the keys that the gate judged it on are no news either: it was
chosen because it did well on them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.retraining.config.model import ModelConfig, TimeSplit
from include.retraining.config.model_code import ModelCode, dividing_columns
from include.retraining.data.arrays import RowMask
from include.retraining.data.dataset import open_dataset
from include.retraining.data.forget_list import forgotten_places
from include.retraining.data.kept_rows import KeptRows
from include.retraining.data.labels import label_values
from include.retraining.data.reading import reading_of
from include.retraining.data.split import key_hashes, key_texts, times
from include.retraining.data.split_record import SplitUsed
from include.retraining.evaluation.holdout import HoldoutRows
from include.retraining.exceptions import EvidenceError
from include.retraining.monitoring.gate_evidence import require_same_key
from include.retraining.registry.versions import VersionManifest
from include.retraining.runs.manifest import RunManifest
from include.retraining.store.object_store import Store


class UnseenRows(NamedTuple):
    """What of a delivery may be graded."""

    rows: HoldoutRows
    seen: int
    """How many rows were left out because the version was trained or judged on them."""


def read_unseen(
    store: Store,
    run: RunManifest,
    version: VersionManifest,
    judged_keys: pa.StringArray,
    *,
    config: ModelConfig,
    code: ModelCode,
) -> UnseenRows:
    """Read the rows of a run's delivery that a version has not seen, without keys to forget.

    Args:
        store: where relative addresses start.
        run: whose delivery and whose keys to forget, as pinned.
        version: whose rows are left out.
        judged_keys: of the rows that the gate judged it on.
        config: the model's.
        code: the model's, for how columns are read.

    Raises:
        DataRejected: when the delivery lacks a column that the version reads.
        DataChanged: when a pinned file is no longer what was pinned.
        EvidenceError: when the version's split cannot be applied to these rows, or when the keys
            to forget were altered.
    """
    features = list(version.features)
    columns = list(dict.fromkeys((*dividing_columns(config), *features)))
    reading = reading_of(config, code).guessing(features)
    with open_dataset(store, run.delivery, reading, columns) as dataset:
        about = dataset.frame(dividing_columns(config))
        mask = _never_trained_on(about, version.split, config)
        mask = mask & ~_are_judged(about[config.data.key], judged_keys)
        seen = int((~mask).sum())
        mask[forgotten_places(store, run, about[config.data.key])] = False
        kept = KeptRows(mask, len(columns))
        for column in dataset.columns(columns):
            kept.add(column)
    labels = label_values(about[config.data.label], config.problem)
    rows = HoldoutRows(
        frame=kept.frame(),
        keys=about[config.data.key].to_numpy()[mask],
        labels=labels[mask],
        split=version.split,
        oldest=_oldest(about, mask, config),
        rows_in_training=0,
        train_labels=labels[:0],  # of classes that are new to the version, it gets no row right
    )
    return UnseenRows(rows, seen)


def _never_trained_on(about: pd.DataFrame, split: SplitUsed, config: ModelConfig) -> RowMask:
    """Return which rows lie on the version's side of the holdout, by its own split."""
    data = config.data
    require_same_key(split.key, data.key)
    if split.by == "key" and split.salt is not None and split.holdout_fraction is not None:
        hashes = key_hashes(about[data.key], split.salt)
        return np.asarray(hashes < np.uint64(int(split.holdout_fraction * 2**64)), dtype=np.bool_)
    if (
        isinstance(data.split, TimeSplit)
        and split.by == "time"
        and split.column == data.split.column
        and split.train_until is not None
    ):
        newer = times(about[data.split.column]) > pd.Timestamp(split.train_until)
        return newer.to_numpy(dtype=bool)
    raise EvidenceError(
        f"it was trained on a split by {split.by}, and `data.split` is by {data.split.by} now: "
        "which rows it was trained on cannot be seen"
    )


def _are_judged(keys: pd.Series[Any], judged_keys: pa.StringArray) -> RowMask:
    texts = pc.cast(key_texts(keys), pa.string())
    return np.asarray(pc.is_in(texts, value_set=judged_keys).to_numpy(zero_copy_only=False))


def _oldest(about: pd.DataFrame, mask: RowMask, config: ModelConfig) -> Any:
    split = config.data.split
    if not isinstance(split, TimeSplit) or not mask.any():
        return None
    return times(about[split.column])[mask].min().to_pydatetime(warn=False)
