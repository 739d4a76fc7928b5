"""Metrics under resampling: each as fast as counting rows allows.

A resample is a row of weights: how often each row of the sample was drawn. A metric prepared by
`weighted_metric` equals scikit-learn's on the rows so repeated (the tests compare them), without
building them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from include.retraining.predictions import Array, Sample

Weighted = Callable[[Array], Array]
"""Takes resamples by rows and returns a value per resample, NaN where it is undefined."""


def weighted_metric(metric: str, sample: Sample) -> Weighted:
    """Prepare a metric for resampling.

    Args:
        metric: a scorer's name that `config.METRICS` allows for the problem.
        sample: labels and predictions.

    Raises:
        ValueError: when it needs probabilities and there are none.
    """
    if metric in _CONFUSION:
        return _from_confusion(sample, _CONFUSION[metric])
    if metric in _MOMENTS:
        return _from_moments(sample, _MOMENTS[metric])
    if metric == "neg_median_absolute_error":
        return _median_error(sample)
    if sample.probabilities is None:
        raise ValueError(f"{metric} needs probabilities")
    return _PROBABILISTIC[metric](sample.labels, sample.probabilities)


# --- from the table of labels against predictions ---


def _from_confusion(sample: Sample, formula: Callable[[Array], Array]) -> Weighted:
    classes = int(max(sample.labels.max(), sample.values.max(), 1)) + 1
    cells = sample.labels.astype(np.int64) * classes + sample.values

    def compute(weights: Array) -> Array:
        tables = np.stack([np.bincount(cells, row, classes * classes) for row in weights])
        return formula(tables.reshape(len(weights), classes, classes))

    return compute


def _ratio(part: Array, whole: Array) -> Array:
    """Return part / whole, 0 where there is nothing."""
    nothing = np.zeros_like(part, dtype=float)
    return np.asarray(np.divide(part, whole, out=nothing, where=whole != 0))


def _diagonal(tables: Array) -> Array:
    return np.asarray(np.diagonal(tables, axis1=1, axis2=2))


def _recalls(tables: Array) -> Array:
    return _ratio(_diagonal(tables), tables.sum(axis=2))


def _precisions(tables: Array) -> Array:
    return _ratio(_diagonal(tables), tables.sum(axis=1))


def _f1s(tables: Array) -> Array:
    return _ratio(2 * _diagonal(tables), tables.sum(axis=1) + tables.sum(axis=2))


def _balanced_accuracy(tables: Array) -> Array:
    present = tables.sum(axis=2) > 0
    return np.asarray((_recalls(tables) * present).sum(axis=1) / present.sum(axis=1))


def _correlation(tables: Array) -> Array:
    rows, labels, values = tables.sum(axis=(1, 2)), tables.sum(axis=2), tables.sum(axis=1)
    joint = _diagonal(tables).sum(axis=1) * rows - (labels * values).sum(axis=1)
    spread = (rows**2 - (labels**2).sum(axis=1)) * (rows**2 - (values**2).sum(axis=1))
    return _ratio(joint, np.sqrt(spread))


def _macro(per_class: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Average over the classes that a resample's labels hold."""

    def compute(tables: Array) -> Array:
        present = tables.sum(axis=2) > 0
        return np.asarray((per_class(tables) * present).sum(axis=1) / present.sum(axis=1))

    return compute


def _f1_weighted(tables: Array) -> Array:
    return np.asarray((_f1s(tables) * tables.sum(axis=2)).sum(axis=1) / tables.sum(axis=(1, 2)))


_CONFUSION: dict[str, Callable[[Array], Array]] = {
    "accuracy": lambda tables: _diagonal(tables).sum(axis=1) / tables.sum(axis=(1, 2)),
    "balanced_accuracy": _balanced_accuracy,
    "f1": lambda tables: _f1s(tables)[:, 1],
    "f1_macro": _macro(_f1s),
    "f1_weighted": _f1_weighted,
    "matthews_corrcoef": _correlation,
    "precision": lambda tables: _precisions(tables)[:, 1],
    "precision_macro": _macro(_precisions),
    "recall": lambda tables: _recalls(tables)[:, 1],
    "recall_macro": _macro(_recalls),
}


# --- from means of powers of labels and errors ---


def _unexplained(error: Array, spread: Array) -> Array:
    """Return 1 - error / spread; like scikit-learn, 0 or 1 where the labels do not vary."""
    flat = np.where(error > 0, 0.0, 1.0)
    varying = spread > 0
    return np.where(varying, 1 - np.divide(error, spread, where=varying, out=flat.copy()), flat)


# Arguments: means of error, |error|, error², centred label, its square.
_MOMENTS: dict[str, Callable[[Array], Array]] = {
    "neg_mean_absolute_error": lambda m: -m[:, 1],
    "neg_mean_squared_error": lambda m: -m[:, 2],
    "neg_root_mean_squared_error": lambda m: -np.sqrt(m[:, 2]),
    "r2": lambda m: _unexplained(m[:, 2], m[:, 4] - m[:, 3] ** 2),
    "explained_variance": lambda m: _unexplained(m[:, 2] - m[:, 0] ** 2, m[:, 4] - m[:, 3] ** 2),
}


def _from_moments(sample: Sample, formula: Callable[[Array], Array]) -> Weighted:
    error = sample.labels - sample.values
    centred = sample.labels - sample.labels.mean()
    powers = np.column_stack((error, np.abs(error), error**2, centred, centred**2))
    return lambda weights: formula(weights @ powers / weights.sum(axis=1, keepdims=True))


def _median_error(sample: Sample) -> Weighted:
    errors = np.abs(sample.labels - sample.values)
    order = np.argsort(errors)
    errors = errors[order]

    def compute(weights: Array) -> Array:
        up_to = np.cumsum(weights[:, order], axis=1)
        rows = up_to[:, -1]
        low = errors[(up_to > ((rows - 1) // 2)[:, None]).argmax(axis=1)]
        high = errors[(up_to > (rows // 2)[:, None]).argmax(axis=1)]
        return np.asarray(-(low + high) / 2)

    return compute


# --- from the probabilities ---


def _mean_of(values: Array) -> Weighted:
    return lambda weights: np.asarray(weights @ values / weights.sum(axis=1))


def _log_likelihood(labels: Array, probabilities: Array) -> Weighted:
    if probabilities.ndim == 1:
        chosen = np.where(labels == 1, probabilities, 1 - probabilities)
    else:
        chosen = probabilities[np.arange(len(labels)), labels]
    smallest = np.finfo(probabilities.dtype).eps  # as scikit-learn clips them
    return _mean_of(np.log(np.clip(chosen, smallest, 1 - smallest)))


def _ranked(labels: Array, scores: Array, formula: Callable[[Array, Array], Array]) -> Weighted:
    """Prepare a metric of positive and negative rows per distinct score, highest first."""
    order = np.argsort(-scores, kind="stable")
    is_yes = labels[order] == 1
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))

    def compute(weights: Array) -> Array:
        drawn = weights[:, order]
        yes = np.add.reduceat(drawn * is_yes, starts, axis=1)
        every = np.add.reduceat(drawn, starts, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return formula(yes, every - yes)

    return compute


def _area(yes: Array, no: Array) -> Array:
    above = np.cumsum(yes, axis=1)
    pairs = ((above - yes / 2) * no).sum(axis=1)
    return np.asarray(pairs / (above[:, -1] * no.sum(axis=1)))


def _average_precision(yes: Array, no: Array) -> Array:
    found = np.cumsum(yes, axis=1)
    precision = _ratio(found, found + np.cumsum(no, axis=1))
    return np.asarray((precision * yes).sum(axis=1) / found[:, -1])


def _area_over_classes(labels: Array, probabilities: Array) -> Weighted:
    areas = [
        _ranked((labels == number).astype(np.int8), probabilities[:, number], _area)
        for number in range(probabilities.shape[1])
    ]
    return lambda weights: np.mean([area(weights) for area in areas], axis=0)


_PROBABILISTIC: dict[str, Callable[[Array, Array], Weighted]] = {
    "average_precision": lambda y, p: _ranked(y, p, _average_precision),
    "neg_brier_score": lambda y, p: _mean_of(-np.square(p - y)),
    "neg_log_loss": _log_likelihood,
    "roc_auc": lambda y, p: _ranked(y, p, _area),
    "roc_auc_ovr": _area_over_classes,
}
