"""What a version predicts for the periods before the holdout, never by what saw the rows.

Rows that are younger than what a version was fitted to, and than the gap behind that, it predicts
itself. For older ones, what its recipe predicted when it was trained was kept with it
(`walk_forward.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.retraining.data.arrays import Positions, RowMask
from include.retraining.documents import sha256_of
from include.retraining.evaluation.holdout import HoldoutRows, WindowRows
from include.retraining.exceptions import MissingObject
from include.retraining.registry.versions import VersionManifest
from include.retraining.store.layout import version_folder
from include.retraining.store.object_store import Store
from include.retraining.training.estimator import Estimator
from include.retraining.training.predictions import Predictions, Predictor, joined, predict
from include.retraining.training.walk_forward import WalkForward, read_walk_forward, row_hashes

MIN_KNOWN = 0.9
"""The share of a period's rows that a version must have predicted: the others may be late rows,
which it never saw."""


@dataclass(frozen=True)
class WindowPredictions:
    """What a version predicts for one period, or why it does not."""

    known: RowMask
    """(rows of the period,): for which of them."""
    predictions: Predictions | None
    """For the known rows, in the order of the period."""
    reason: str | None = None
    """Why there are none."""


Kept = WalkForward | str | None
"""What a version's recipe predicted when it was trained, why that cannot be read, or None where
nothing was kept."""


def read_kept(store: Store, manifest: VersionManifest, holdout: HoldoutRows) -> Kept:
    """Return what was kept with a version, where there are periods before the holdout to predict.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    file = manifest.windows
    if file is None or not holdout.earlier:
        return None
    key = f"{version_folder(manifest.model, manifest.version)}/{file.name}"
    try:
        data = store.read(key)
    except MissingObject as error:
        return str(error)
    if sha256_of(data) != file.sha256:
        return f"{key}: altered: its SHA-256 is not the manifest's"
    return read_walk_forward(data, manifest.classes)


def predict_windows(
    kept: Kept,
    manifest: VersionManifest,
    holdout: HoldoutRows,
    model: Estimator | Predictor,
) -> tuple[WindowPredictions, ...]:
    """Return a version's predictions for each period before the holdout.

    Args:
        kept: as `read_kept` returns it.
        manifest: the version's.
        holdout: with the periods.
        model: the version itself, started.
    """
    return tuple(
        _nothing(window, kept) if isinstance(kept, str) else _predict(window, manifest, kept, model)
        for window in holdout.earlier
    )


def _nothing(window: WindowRows, reason: str) -> WindowPredictions:
    return WindowPredictions(np.zeros(len(window.labels), dtype=bool), None, reason)


def _predict(
    window: WindowRows,
    manifest: VersionManifest,
    kept: WalkForward | None,
    model: Estimator | Predictor,
) -> WindowPredictions:
    """Return the predictions for one period, from both sources, in the order of its rows."""
    is_unseen = _unseen(window, manifest)
    places: Positions = np.full(len(window.labels), -1, dtype=np.intp)
    if kept is not None:
        places = pd.Index(kept.keys).get_indexer(pd.Index(row_hashes(window.keys)))
    is_kept = ~is_unseen & (places >= 0)
    known = is_unseen | is_kept
    if known.mean() < MIN_KNOWN:
        why = "keeps no predictions" if kept is None else f"keeps those of {known.mean():.0%} only"
        return _nothing(window, f"it was fitted to rows of this period and {why}")
    parts: list[Predictions] = []
    order: list[Positions] = []
    if is_unseen.any():
        rows = window.frame.loc[is_unseen, list(manifest.features)]
        parts.append(predict(model, rows, manifest.problem))
        order.append(np.flatnonzero(is_unseen))
    if kept is not None and is_kept.any():
        parts.append(kept.predictions.take(places[is_kept]))
        order.append(np.flatnonzero(is_kept))
    return WindowPredictions(known, joined(parts).take(np.argsort(np.concatenate(order))))


def _unseen(window: WindowRows, manifest: VersionManifest) -> RowMask:
    """Return which rows are younger than all that a version was fitted to, and than its gap."""
    until = manifest.split.train_until
    if until is None:
        return np.zeros(len(window.labels), dtype=bool)
    gap = pd.Timedelta(days=manifest.split.gap_days or 0)
    unseen: RowMask = (window.times > pd.Timestamp(until) + gap).to_numpy(dtype=bool)
    return unseen
