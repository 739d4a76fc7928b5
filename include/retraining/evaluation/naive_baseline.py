"""The naive baseline: the best prediction without the features."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier, DummyRegressor

from include.retraining.data.arrays import Labels, Numbers
from include.retraining.data.labels import Class, is_class
from include.retraining.evaluation.contenders import Contender
from include.retraining.training.predictions import Predictions, predict

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
    labels: Labels, rows: int, *, problem: str, metric: str, positive: Class | None
) -> Contender:
    """Return someone who knows nothing but the training labels, and makes the best of them.

    What it always says fits the decision metric: the median where errors are absolute, the mean for
    any other regression, the positive class where only that one counts (F1), a mix of classes at
    random where each class counts by itself, else the most frequent class. Its probabilities are
    the classes' shares.

    Args:
        labels: of the training part, as `label_values` returns them.
        rows: how many rows to predict.
        problem: the kind of label.
        metric: the decision metric.
        positive: for a binary problem, the class that means yes.
    """
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
