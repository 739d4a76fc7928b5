"""The naive baseline: the best answer that does not look at the features."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier, DummyRegressor

from include.retraining.opponents import Entrant
from include.retraining.predictions import Array, Class, Predictions, Sample, predict
from include.retraining.resampling import weighted_metric

_OF_ABSOLUTE_ERRORS = frozenset({"neg_mean_absolute_error", "neg_median_absolute_error"})
_OF_PROBABILITIES = frozenset({
    "average_precision",
    "neg_brier_score",
    "neg_log_loss",
    "roc_auc",
    "roc_auc_ovr",
})


def naive_baseline(
    labels: Array, rows: int, *, problem: str, metric: str, positive: Class | None
) -> Entrant:
    """Return someone who knows nothing but the training labels, and makes the best of them.

    What it always says fits the decision metric: the median where errors are absolute, the mean for
    any other regression, and of the classes the one that scores best on the training labels. Its
    probabilities are the classes' shares.

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
        told = f"the {answer} of the training labels"
        return Entrant("baseline", predictions=predict(number, nothing, problem), answers=told)
    # The classes with their counts as weights give the same fit as millions of rows.
    classes, counts = np.unique(labels, return_counts=True)
    shares = DummyClassifier(strategy="prior")
    shares.fit(np.zeros((len(classes), 1)), classes, sample_weight=counts)
    found = predict(shares, nothing, problem)
    if metric in _OF_PROBABILITIES:
        told = "the classes' shares in the training labels"
        return Entrant("baseline", predictions=found, answers=told)
    numbers = np.arange(len(classes))
    if problem == "binary":
        numbers = (classes == positive).astype(np.int64)
    best = _best_class(numbers, counts, problem, metric)
    values = np.repeat(classes[[best]], rows)
    told = f"one class, of all the one with the best {metric} on the training labels"
    constant = Predictions(values, found.probabilities, found.classes)
    return Entrant("baseline", predictions=constant, answers=told)


def _best_class(numbers: Array, counts: Array, problem: str, metric: str) -> int:
    """Return the position of the class that is best to tell everybody; of equals the commonest."""

    def scored(at: int) -> float:
        always = np.full_like(numbers, numbers[at])
        score = weighted_metric(metric, Sample(problem, numbers, always, None))
        found = score(counts[None, :].astype(float)).item()
        return found if np.isfinite(found) else -np.inf

    by_frequency = sorted(range(len(counts)), key=lambda at: -counts[at])
    return max(by_frequency, key=scored)
