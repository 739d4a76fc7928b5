"""Metrics by scikit-learn scorer name, computed from predictions by scikit-learn's own functions.

As for its scorers, greater is better: an error is negated.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
from sklearn import metrics as sk
from sklearn.exceptions import UndefinedMetricWarning

from include.retraining.config.metric_ranges import OF_CHANCES, OF_RANKS
from include.retraining.data.arrays import Probabilities
from include.retraining.evaluation.own_scores import own_score
from include.retraining.training.predictions import Sample

Metric = Callable[[Sample], float]


def _probabilities(sample: Sample) -> Probabilities:
    if sample.probabilities is None:
        raise ValueError("the model gives no probabilities")
    return sample.probabilities


def _log_loss(sample: Sample) -> float:
    chances = _probabilities(sample)
    number_of_classes = 2 if chances.ndim == 1 else chances.shape[1]
    return -float(sk.log_loss(sample.labels, chances, labels=np.arange(number_of_classes)))


def _roc_auc_ovr(sample: Sample) -> float:
    chances = _probabilities(sample)
    if chances.shape[1] == 2:  # one class against the other is the other against the one
        return float(sk.roc_auc_score(sample.labels, chances[:, 1]))
    labels = np.arange(chances.shape[1])
    return float(sk.roc_auc_score(sample.labels, chances, multi_class="ovr", labels=labels))


def _averaged(function: Callable[..., float], average: str) -> Metric:
    """Average over the classes that the labels hold, even if others are predicted."""

    def compute(sample: Sample) -> float:
        held = None if average == "binary" else np.unique(sample.labels)
        return float(
            function(sample.labels, sample.values, average=average, labels=held, zero_division=0)
        )

    return compute


_CLASSIFIER: dict[str, Metric] = {
    "accuracy": lambda s: sk.accuracy_score(s.labels, s.values),
    "balanced_accuracy": lambda s: sk.balanced_accuracy_score(s.labels, s.values),
    "matthews_corrcoef": lambda s: sk.matthews_corrcoef(s.labels, s.values),
    "neg_log_loss": _log_loss,
}

METRICS: dict[str, dict[str, Metric]] = {
    "binary": {
        **_CLASSIFIER,
        "average_precision": lambda s: sk.average_precision_score(s.labels, s.ranking),
        "f1": _averaged(sk.f1_score, "binary"),
        "neg_brier_score": lambda s: -sk.brier_score_loss(s.labels, _probabilities(s)),
        "precision": _averaged(sk.precision_score, "binary"),
        "recall": _averaged(sk.recall_score, "binary"),
        "roc_auc": lambda s: sk.roc_auc_score(s.labels, s.ranking),
    },
    "multiclass": {
        **_CLASSIFIER,
        "f1_macro": _averaged(sk.f1_score, "macro"),
        "f1_weighted": _averaged(sk.f1_score, "weighted"),
        "precision_macro": _averaged(sk.precision_score, "macro"),
        "recall_macro": _averaged(sk.recall_score, "macro"),
        "roc_auc_ovr": _roc_auc_ovr,
    },
    "regression": {
        "explained_variance": lambda s: sk.explained_variance_score(s.labels, s.values),
        "neg_mean_absolute_error": lambda s: -sk.mean_absolute_error(s.labels, s.values),
        "neg_mean_squared_error": lambda s: -sk.mean_squared_error(s.labels, s.values),
        "neg_median_absolute_error": lambda s: -sk.median_absolute_error(s.labels, s.values),
        "neg_root_mean_squared_error": lambda s: -sk.root_mean_squared_error(s.labels, s.values),
        "r2": lambda s: sk.r2_score(s.labels, s.values),
    },
}


_OF_BOTH_CLASSES = frozenset({"balanced_accuracy", "matthews_corrcoef", *OF_RANKS})


def why_undefined(metric: str, sample: Sample) -> str | None:
    """Return why a metric means nothing on a sample, with its counts; None where it does.

    scikit-learn gives 0 or 1 for some of these. A macro average counts a class that is never
    predicted as 0, as scikit-learn does: its rows were all missed.

    Args:
        metric: a scorer's name that `metric_ranges.metrics_for` allows for the problem.
        sample: labels and predictions.
    """
    if metric in sample.scorers:
        return own_score(sample.scorers[metric], sample)[1]
    if metric in OF_CHANCES and sample.probabilities is None:
        return "the model gives no probabilities"
    if metric in OF_RANKS and sample.probabilities is None and sample.scores is None:
        return "the model gives neither probabilities nor decision_function()"
    return _too_little(metric, sample)


def _too_little(metric: str, sample: Sample) -> str | None:
    is_one_class = len(np.unique(sample.labels)) < 2
    reason = None
    if sample.problem == "regression":
        if metric in {"r2", "explained_variance"} and is_one_class:
            reason = f"all {sample.rows:,} labels are the same"
    elif sample.problem == "multiclass":
        if metric in {"matthews_corrcoef", "roc_auc_ovr"} and is_one_class:
            reason = f"{sample.rows:,} rows, all of one class"
    else:
        positives, selected = int((sample.labels == 1).sum()), int((sample.values == 1).sum())
        if (
            (metric in _OF_BOTH_CLASSES and is_one_class)
            # Without a positive no model can score above 0, however good it is.
            or (metric in {"f1", "precision", "recall"} and positives == 0)
        ):
            reason = f"{sample.rows:,} rows, {positives:,} positive"
        elif metric == "precision" and selected == 0:
            reason = f"none of {sample.rows:,} rows is predicted positive"
    return reason


def compute(metric: str, sample: Sample) -> float | None:
    """Return a metric, or None when it cannot be computed or is not a finite number.

    It is never 0 where it is not defined (`why_undefined`).

    Args:
        metric: a scorer's name that `metric_ranges.metrics_for` allows for the problem.
        sample: labels and predictions.
    """
    if sample.rows > 0 and metric in sample.scorers:
        return own_score(sample.scorers[metric], sample)[0]
    if sample.rows == 0 or why_undefined(metric, sample) is not None:
        return None
    with warnings.catch_warnings():
        # Undefined is NaN, and NaN is None here: the gate says so in its own words.
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        warnings.filterwarnings("ignore", "y_pred contains classes not in y_true", UserWarning)
        try:
            value = float(METRICS[sample.problem][metric](sample))
        except ValueError:
            return None
    return value if math.isfinite(value) else None
