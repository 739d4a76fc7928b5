"""Labels that arrived after the predictions: read, and joined with them by key.

Deliveries are read in the order of their days, and the last one counts: it corrects those before. A
key that a delivery names twice with different labels has none. A row without a label in its cell is
not known yet. Nothing is kept of rows that no prediction was made for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa

from include.retraining.config.model import ModelConfig
from include.retraining.config.model_code import ModelCode
from include.retraining.data.arrays import Labels, Positions
from include.retraining.data.column_types import arrow_type
from include.retraining.data.dataset import read_dataset
from include.retraining.data.delivery import inspect_delivery, pin_delivery
from include.retraining.data.feature_contract import check_features
from include.retraining.data.labels import label_values
from include.retraining.data.reading import Reading, reading_of
from include.retraining.monitoring.label_windows import labels_of, labels_view
from include.retraining.monitoring.past_scores import key_of, keys_as_text
from include.retraining.store.object_store import Store


@dataclass
class ArrivedLabels:
    """The labels that arrived for some keys."""

    keys: pd.Index[str]
    """Of the predictions, as texts."""
    by_key: pd.Series[Any] = field(default_factory=lambda: pd.Series(dtype=object))
    """The label of each key that has one, by its text."""
    doubled: set[str] = field(default_factory=set)
    """Keys that a delivery names more than once."""
    inputs: dict[str, str] = field(default_factory=dict)
    """The SHA-256 of each file that was read, by its address."""

    def add(self, keys: pd.Index[str], labels: pd.Series[Any]) -> None:
        """Add the labels of a later delivery, which correct those before.

        Args:
            keys: of some rows, as texts.
            labels: of these rows, none of them missing.
        """
        rows = pd.DataFrame({"key": keys, "label": labels.to_numpy()})
        self.doubled |= set(rows["key"][rows["key"].duplicated()])
        rows = rows.drop_duplicates()
        unclear = rows["key"].duplicated(keep=False)
        known = rows[~unclear].set_index("key")["label"]
        kept = self.by_key[~self.by_key.index.isin(rows["key"])]
        self.by_key = pd.concat([kept, known]) if len(kept) else known

    def joined(self, problem: str) -> tuple[Positions, Labels]:
        """Return which predictions have a label, by position, and the labels."""
        places = self.by_key.index.get_indexer(self.keys)
        (positions,) = (places >= 0).nonzero()
        return positions, label_values(self.by_key.iloc[places[positions]], problem)


def read_arrived(
    store: Store, config: ModelConfig, code: ModelCode, keys: pd.Index[str], days: Iterable[date]
) -> ArrivedLabels:
    """Return the labels of some predictions, from each delivery of some days that is complete.

    Args:
        store: where relative addresses start.
        config: the model's.
        code: the model's.
        keys: of the predictions, as texts.
        days: on which labels were delivered, in order; the last one, where one delivery has all.

    Raises:
        DeliveryError: when a delivery cannot be accepted.
        DataRejected: when labels break what the contract says of them; never with a cell.
        DataChanged: when a file was changed while it was read.
        StorageError: when the store refuses or does not answer.
    """
    view, arrived = labels_view(config), ArrivedLabels(keys)
    column = labels_of(config).key or key_of(config)
    reading = reading_of(config, code)
    for day in days:
        if not inspect_delivery(store, view, day, consumed=None).is_complete:
            continue
        pinned = pin_delivery(store, view, day)
        frame = _of_keys(read_dataset(store, pinned, reading, [column, config.data.label]), keys)
        frame = _typed(frame, config.data.label, reading)
        if len(frame):
            check_features(
                frame.drop_duplicates(column, ignore_index=True),
                config,
                code,
                key=column,
                features=(config.data.label,),
                run_date=day,
            )
            arrived.add(keys_as_text(frame[column]), frame[config.data.label])
        arrived.inputs |= {f"{pinned.location}/{file.name}": file.sha256 for file in pinned.files}
    return arrived


def _of_keys(frame: pd.DataFrame, keys: pd.Index[str]) -> pd.DataFrame:
    """Return the rows of some keys that have a label; keys are in the first column."""
    known = frame.dropna(ignore_index=True)
    return known[keys_as_text(known.iloc[:, 0]).isin(keys)].reset_index(drop=True)


def _typed(frame: pd.DataFrame, label: str, reading: Reading) -> pd.DataFrame:
    """Return rows with the label as the contract types it."""
    labels = frame[label].infer_objects()
    declared = arrow_type(reading.types.of(label))
    if declared is None or not pa.types.is_integer(declared) or labels.dtype.kind != "f":
        return frame.assign(**{label: labels})
    if (labels % 1 == 0).all():  # cells without a label made numbers with a point of the others
        labels = labels.astype(declared.to_pandas_dtype())
    return frame.assign(**{label: labels})
