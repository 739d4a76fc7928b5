"""What the predictions of every model must satisfy, in any language."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from include.retraining.data.arrays import Probabilities, RowMask
from include.retraining.data.labels import Class, class_names
from include.retraining.exceptions import TrainingError
from include.retraining.training.predictions import Predictions

SUM_TOLERANCE = 1e-5
"""By how much the probabilities of a row may miss 1: those of single precision do."""
ROUNDING = 1e-6
"""By how much a probability may leave 0 to 1: means of many end a bit beyond."""


def check_predictions(
    predictions: Predictions, *, where: str, classes: Sequence[Class] | None
) -> None:
    """Refuse what is no prediction, before anybody relies on it.

    Args:
        predictions: of a fitted model.
        where: whose they are, for the error.
        classes: for a classifier, those it was trained on.

    Raises:
        TrainingError: naming how many rows break which rule; never a value.
    """
    values, chances = predictions.values, predictions.probabilities
    if classes is None:
        _none(np.asarray(~np.isfinite(values)), where, "are no finite numbers")
        return
    codes, different = pd.factorize(values, use_na_sentinel=False)
    known = set(class_names(classes))
    is_unknown = np.array([name not in known for name in class_names(different)], bool)[codes]
    _none(is_unknown, where, "are none of the classes that it was trained on")
    if chances is not None:
        outside = np.asarray((~are_chances(chances, ROUNDING)).any(axis=1))
        _none(outside, where, "have probabilities that are no numbers from 0 to 1")
        _none(~add_up(chances), where, "have probabilities that do not add up to 1")


def check_answers_differ(predictions: Predictions, rows: pd.DataFrame, *, where: str) -> None:
    """Refuse a model that gives different rows one and the same answer.

    A classifier may well predict one class for all of them, when its probabilities differ or when
    it has none.

    Raises:
        TrainingError: when it does.
    """
    answer = predictions.values if predictions.classes is None else predictions.probabilities
    if answer is None or len(rows) < 2 or (answer != answer[0]).any():
        return
    if not rows.duplicated(keep="first").iloc[1:].all():
        raise TrainingError(
            f"{where}: it gives one and the same answer for {len(rows):,} rows that differ: it "
            "learnt nothing"
        )


def are_chances(numbers: Probabilities, tolerance: float = 0.0) -> RowMask:
    """Return which numbers lie from 0 to 1, in the shape of ``numbers``; NaN does not."""
    return np.asarray((numbers >= -tolerance) & (numbers <= 1 + tolerance))


def add_up(chances: Probabilities) -> RowMask:
    """Return of which rows the probabilities add up to 1."""
    return np.asarray(np.abs(chances.sum(axis=1) - 1) <= SUM_TOLERANCE)


def _none(is_wrong: RowMask, where: str, rule: str) -> None:
    if is_wrong.any():
        raise TrainingError(
            f"{where}: the predictions of {int(is_wrong.sum()):,} of {len(is_wrong):,} rows {rule}"
        )
