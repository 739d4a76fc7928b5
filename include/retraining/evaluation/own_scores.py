"""The metrics of a model's team: scikit-learn's scorers, asked for predictions that were made.

A scorer is given an estimator that repeats a sample's predictions, the numbers of the rows, and the
labels: 1 for the positive class and 0 for any other, for more classes the position in the sorted
list of those that the labels hold, for a regression numbers.
"""

from __future__ import annotations

import logging
import math
import warnings
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import UndefinedMetricWarning

from include.retraining.config.scorers import Scorer
from include.retraining.data.arrays import Numbers, Positions
from include.retraining.training.predictions import Sample

log = logging.getLogger(__name__)

GROUPS = 200
"""Of the jackknife: a scorer is asked that often for an interval, however many rows there are."""


_INFLUENCES: WeakKeyDictionary[Sample, dict[int, Numbers]] = WeakKeyDictionary()
"""By sample, and by the identity of one of its scorers: for as long as the sample is in use."""


class NotDefined(ValueError):
    """A metric has no value without some of the rows."""


class _Answers(BaseEstimator):  # type: ignore[misc]
    """A fitted estimator whose predictions for the rows of a sample were made before."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, rows: Positions) -> Any:
        """Return the sample's predictions for some of its rows, by number."""
        return self.sample.values[np.ravel(rows)]


class _Numbers(RegressorMixin, _Answers):  # type: ignore[misc]
    """Of a regression."""


class _Classes(ClassifierMixin, _Answers):  # type: ignore[misc]
    """Of a classification. Classes are numbered as in a `Sample`."""

    @property
    def classes_(self) -> Any:
        """The numbers of the classes."""
        chances = self.sample.probabilities
        if self.sample.problem == "binary":
            return np.arange(2)
        known = 0 if chances is None else chances.shape[1]
        return np.arange(max(known, int(self.sample.labels.max()) + 1))

    def predict_proba(self, rows: Positions) -> Any:
        """Return the probabilities, a column for each class.

        Raises:
            ValueError: when the model gave none.
        """
        chances = self.sample.probabilities
        if chances is None:
            raise ValueError("the model gives no probabilities")
        chosen = chances[np.ravel(rows)]
        return np.column_stack((1 - chosen, chosen)) if chosen.ndim == 1 else chosen

    def decision_function(self, rows: Positions) -> Any:
        """Return what puts the rows in order: probabilities, else scores."""
        return self.sample.ranking[np.ravel(rows)]


def own_score(scorer: Scorer, sample: Sample) -> tuple[float | None, str | None]:
    """Return what a team's scorer says of a sample, or None and why it says nothing."""
    estimator = (_Numbers if sample.problem == "regression" else _Classes)(sample)
    rows = np.arange(sample.rows).reshape(-1, 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            value = float(scorer(estimator, rows, sample.labels))
    except Exception as error:  # the code of a team may raise anything
        log.warning("the scorer of an own metric failed", exc_info=True)
        return None, f"its scorer raised {type(error).__name__} (the log says where)"
    if not math.isfinite(value):
        return None, "its scorer gave no finite number"
    return value, None


def own_influence(scorer: Scorer, sample: Sample) -> Numbers:
    """Return how much each row moves a metric of which nothing is known, (rows,).

    Computed once for a sample: a challenger is compared with several others.

    Raises:
        NotDefined: when the metric has no value without one of the groups.
    """
    known = _INFLUENCES.setdefault(sample, {})
    if id(scorer) not in known:
        known[id(scorer)] = _jackknife(scorer, sample)
    return known[id(scorer)]


def _jackknife(scorer: Scorer, sample: Sample) -> Numbers:
    """Return the effect of each of `GROUPS` groups of rows, at one row of the group.

    The jackknife by groups of rows drawn at random, without each of which the metric is computed
    once (Shao and Tu, The Jackknife and Bootstrap, 1995, section 2.3). The effect of a group is
    given to one of its rows and the others have none: the sum of squares, and with it the standard
    error, is that of the groups, and few groups that carry it all count as few rows.
    """
    whole, reason = own_score(scorer, sample)
    groups = np.array_split(
        np.random.default_rng(0).permutation(sample.rows), min(GROUPS, sample.rows)
    )
    effects = np.zeros(sample.rows)
    is_kept = np.ones(sample.rows, dtype=bool)
    for group in groups:
        is_kept[group] = False
        without, reason = own_score(scorer, sample.take(is_kept))
        is_kept[group] = True
        if whole is None or without is None:
            raise NotDefined(reason)
        effects[group[0]] = (sample.rows - len(group)) * (whole - without)
    return effects


def own_flips(scorer: Scorer, sample: Sample) -> Numbers:
    """Return by class how far the influence of one row moves when its answer turns.

    Empty for a regression.
    """
    if sample.problem == "regression":
        return np.empty(0)
    whole, _ = own_score(scorer, sample)
    present = np.unique(sample.labels)
    flips = []
    for at, label in enumerate(present):
        row = int(np.flatnonzero(sample.labels == label)[0])
        is_right = sample.values[row] == label
        other = present[at - 1] if len(present) > 1 else 1 - label
        values = sample.values.copy()
        values[row] = other if is_right else label
        turned, _ = own_score(scorer, replace(sample, values=values))
        moved = 0.0 if whole is None or turned is None else abs(whole - turned)
        flips.append(sample.rows * moved)
    return np.array(flips)
