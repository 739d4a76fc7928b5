"""The naive baseline: the best prediction without the features."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier, DummyRegressor

from include.retraining.config.scorers import Scorer
from include.retraining.data.arrays import Labels, Numbers
from include.retraining.data.labels import Class, class_names, is_class
from include.retraining.evaluation.contenders import Contender
from include.retraining.evaluation.own_scores import own_score
from include.retraining.training.predictions import Predictions, as_sample, predict

_OF_ABSOLUTE_ERRORS = frozenset({"neg_mean_absolute_error", "neg_median_absolute_error"})
_OF_THE_POSITIVE = frozenset({"f1", "precision", "recall"})
_SHARED_OUT = {"f1_macro": 0, "f1_weighted": 1, "precision_macro": 0}
"""Metrics by which a mix of classes beats any single one, with the power of its share by which
a class counts."""
_OF_PROBABILITIES = frozenset({
    "average_precision",
    "neg_brier_score",
    "neg_log_loss",
    "roc_auc",
    "roc_auc_ovr",
})


def naive_baseline(
    labels: Labels,
    rows: int,
    *,
    problem: str,
    metric: str,
    positive: Class | None,
    scorer: Scorer | None = None,
) -> Contender:
    """Return someone who knows nothing but the training labels, and makes the best of them.

    What it always says fits the decision metric: the median where errors are absolute, the mean for
    any other regression, the positive class where only that one counts (F1), a mix of classes at
    random where each class counts by itself, else the most frequent class. Its probabilities are
    the classes' shares. By a metric of the team, it is whichever constant answer that gives the
    best score on the training labels.

    Args:
        labels: of the training part, as `label_values` returns them.
        rows: how many rows to predict.
        problem: the kind of label.
        metric: the decision metric.
        positive: for a binary problem, the class that means yes.
        scorer: of the decision metric, where it is one of the team.
    """
    if scorer is not None:
        return _best_by(scorer, labels, rows, problem=problem, positive=positive)
    nothing = pd.DataFrame(index=range(rows))
    if problem == "regression":
        answer = "median" if metric in _OF_ABSOLUTE_ERRORS else "mean"
        number = DummyRegressor(strategy=answer).fit(np.zeros((len(labels), 1)), labels)
        answers = f"the {answer} of the training labels"
        return Contender("baseline", predictions=predict(number, nothing, problem), answers=answers)
    # The classes with their counts as weights give the same fit as millions of rows.
    classes, counts = np.unique(labels, return_counts=True)
    shares = DummyClassifier(strategy="prior")
    shares.fit(np.zeros((len(classes), 1)), classes, sample_weight=counts)
    predictions = predict(shares, nothing, problem)
    if metric in _OF_PROBABILITIES:
        answers = "the classes' shares in the training labels"
        return Contender("baseline", predictions=predictions, answers=answers)
    if metric in _SHARED_OUT:
        mix = _best_mix(counts / counts.sum(), _SHARED_OUT[metric])
        answers = "the classes at random, each as often as is best without looking at the features"
        values = np.random.default_rng(0).choice(classes, rows, p=mix)
    else:
        # Of every other metric the commonest class is the best constant, or none is better.
        is_yes = is_class(classes, positive)
        is_positive_best = metric in _OF_THE_POSITIVE and bool(is_yes.any())
        answers = "the positive class" if is_positive_best else "the most frequent training label"
        best = is_yes if is_positive_best else [counts.argmax()]
        values = np.repeat(classes[best], rows)
    constant = Predictions(values, predictions.probabilities, predictions.classes)
    return Contender("baseline", predictions=constant, answers=answers)


def _best_by(
    scorer: Scorer, labels: Labels, rows: int, *, problem: str, positive: Class | None
) -> Contender:
    """Return the constant answer with the best score on the training labels, by a team's scorer."""

    def score(constant: _Constant) -> float:
        given = constant.predictions(len(labels))
        classes = None if problem == "regression" else class_names(np.unique(labels))
        sample = as_sample(labels, given, problem=problem, positive=positive, classes=classes)
        value, _ = own_score(scorer, sample)
        return -math.inf if value is None else value

    best = max(_constants(labels, problem), key=score)
    return Contender("baseline", predictions=best.predictions(rows), answers=best.words)


@dataclass(frozen=True)
class _Constant:
    """One answer for every row."""

    words: str
    value: Labels
    """(1,): a class or a number."""
    shares: Numbers | None = None
    classes: tuple[Class, ...] | None = None

    def predictions(self, rows: int) -> Predictions:
        """Return that answer for so many rows, with the classes' shares as its probabilities."""
        chances = None if self.shares is None else np.tile(self.shares, (rows, 1))
        return Predictions(np.repeat(self.value, rows), chances, self.classes)


def _constants(labels: Labels, problem: str) -> Iterator[_Constant]:
    if problem == "regression":
        for name, value in (("mean", np.mean(labels)), ("median", np.median(labels))):
            yield _Constant(f"the {name} of the training labels", np.array([value]))
        return
    classes, counts = np.unique(labels, return_counts=True)
    shares = counts / counts.sum()
    for place, at in enumerate(np.argsort(-counts, kind="stable")):  # of equals the commonest
        words = "one class for every row" if place else "the most frequent training label"
        yield _Constant(words, classes[at : at + 1], shares, class_names(classes))


def _best_mix(shares: Numbers, power: float) -> Numbers:
    """Return how often to say each class at random for the best sum of F1 over the classes.

    Who says class c with chance q, whatever the row, has an F1 of 2 p q / (p + q) for it, p being
    its share. Weighted by p to some power, the sum is greatest where p + q goes with p to 1 + half
    of that power; a class for which q would be negative is never said.
    """
    height = shares ** (1 + power / 2)
    said = np.ones(len(shares), dtype=bool)
    while True:
        level = (1 + shares[said].sum()) / height[said].sum()
        mix = np.where(said, level * height - shares, 0.0)
        if (mix >= 0).all():
            return np.asarray(mix / mix.sum())
        said &= mix > 0
