"""What a recipe predicts for the periods before the holdout, each fitted to what came before it.

Kept with a version, so that a later challenger is compared with it on rows that neither had seen:
the model itself was fitted to them. A row counts by a hash of its key, and its label is not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.retraining.data.arrays import Column, Labels, RowMask
from include.retraining.data.labels import Class, class_names
from include.retraining.data.split import Hashes, key_hashes
from include.retraining.training.predictions import Predictions, joined

SALT = "windows"
"""Not that of a split: its hashes have nothing to do with the sides of one."""


@dataclass(frozen=True)
class WalkForward:
    """Predictions for the rows of the periods before the holdout."""

    keys: Hashes
    """(rows,): of the rows, as `row_hashes` makes them."""
    predictions: Predictions
    """With the classes of the version."""

    def to_parquet(self) -> bytes:
        """Return them as a file."""
        predictions = self.predictions
        columns: dict[str, Column] = {"key": self.keys, "value": predictions.values}
        if predictions.probabilities is not None:
            columns |= {
                f"probability_{number}": column
                for number, column in enumerate(predictions.probabilities.T)
            }
        if predictions.scores is not None:
            columns["score"] = predictions.scores
        buffer = BytesIO()
        pq.write_table(pa.table(columns), buffer, compression="zstd")
        return buffer.getvalue()


def read_walk_forward(data: bytes, classes: tuple[Class, ...] | None) -> WalkForward:
    """Return the predictions in a file that `WalkForward.to_parquet` made and a digest proved.

    Args:
        data: the file.
        classes: of the version, in the order of its probabilities.
    """
    table = pq.read_table(BytesIO(data))
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    chances = [columns[name] for name in columns if name.startswith("probability_")]
    return WalkForward(
        keys=columns["key"],
        predictions=Predictions(
            values=columns["value"],
            probabilities=np.column_stack(chances) if chances else None,
            classes=classes,
            scores=columns.get("score"),
        ),
    )


def row_hashes(keys: pd.Series[Any]) -> Hashes:
    """Return the hashes by which rows are found again in a later delivery."""
    return key_hashes(keys, SALT)


def walk_forward(
    keys: pd.Series[Any],
    rows: pd.DataFrame,
    labels: Labels,
    windows: Sequence[tuple[RowMask, RowMask]],
    *,
    classes: tuple[Class, ...] | None,
    predict_after: Callable[[pd.DataFrame, Labels, pd.DataFrame], Predictions],
) -> WalkForward:
    """Fit to what came before each period, and predict it.

    Args:
        keys: of the rows.
        rows: the features.
        labels: as `label_values` returns them.
        windows: for each period, which rows are in it and which are fitted to.
        classes: of the version; a fit to older rows may know fewer.
        predict_after: fits to the first rows with their labels, and predicts the others.
    """
    parts = [
        of_classes(predict_after(rows[training], labels[training], rows[inside]), classes)
        for inside, training in windows
    ]
    hashes = [row_hashes(keys[inside]) for inside, _ in windows]
    return WalkForward(np.concatenate(hashes), joined(parts))


def of_classes(predictions: Predictions, classes: tuple[Class, ...] | None) -> Predictions:
    """Return predictions with a column for each of a version's classes, 0 for those unknown."""
    own, chances = predictions.classes, predictions.probabilities
    if classes is None or own is None or chances is None or tuple(own) == tuple(classes):
        return predictions
    spread = np.zeros((len(chances), len(classes)))
    known = list(class_names(classes))
    places = [known.index(name) for name in class_names(own)]
    spread[:, places] = chances
    return Predictions(predictions.values, spread, classes)
