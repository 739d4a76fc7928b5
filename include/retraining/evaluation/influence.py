"""How much each row moves a metric: the empirical influence function.

The influence of a row is the derivative of the metric by the row's weight, times the number of
rows; over all rows it adds up to 0. The variance of a metric, or of the difference of two versions'
metrics on the same rows, is that of these values (Hampel, Journal of the American Statistical
Association 69, 1974; Efron's "infinitesimal jackknife", 1982). For the area under a curve it is
DeLong's placements (Biometrics 44, 1988). The tests compare each with scikit-learn's derivative by
`sample_weight`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.retraining.data.arrays import Numbers, Probabilities, Targets
from include.retraining.evaluation.own_scores import own_flips, own_influence
from include.retraining.training.predictions import Sample

Table = NDArray[np.float64]
"""(classes, classes): for each label (first axis) and prediction, a number of rows, or how much one
more row moves the metric."""
TablePerClass = NDArray[np.float64]
"""(classes, classes, classes): a `Table` for each class."""

RANK_STEP = 0.25
"""Which share of the others a row of the order is taken to pass when nothing else is known. With
less, a curve's area near 1 by ten positives is trusted too much (`python -m benchmarks gate`)."""


@dataclass(frozen=True)
class Influence:
    """A metric's influences on one sample."""

    rows: Numbers
    """(rows,): of each row."""
    flips: Numbers
    """(classes,): how far the influence of one row moves when its answer turns: from right to wrong
    for a metric of predicted classes, by `RANK_STEP` of the other rows for a metric of their order.
    Empty for a metric without such a bound."""


def influence(metric: str, sample: Sample) -> Influence:
    """Return each row's influence on a metric that is defined on the sample.

    Args:
        metric: a scorer's name that `metric_ranges.metrics_for` allows for the problem.
        sample: labels and predictions.

    Raises:
        ValueError: when it needs probabilities or scores and there are none.
        NotDefined: for a metric of the team, when it has no value without some of the rows.
    """
    if metric in sample.scorers:
        scorer = sample.scorers[metric]
        return Influence(own_influence(scorer, sample), own_flips(scorer, sample))
    if metric in _TABLES:
        return _of_table(sample, _TABLES[metric])
    if metric in _ERRORS:
        return Influence(_ERRORS[metric](sample.labels, sample.labels - sample.values), np.empty(0))
    if metric in _RANKS:
        return Influence(_RANKS[metric](sample.labels, sample.ranking), _steps(sample, 1))
    if sample.probabilities is None:
        raise ValueError(f"{metric} needs probabilities")
    rows = _CHANCES[metric](sample.labels, sample.probabilities)
    if metric == "roc_auc_ovr":
        return Influence(rows, _steps(sample, sample.probabilities.shape[1]))
    return Influence(rows, np.empty(0))


def _steps(sample: Sample, areas: int) -> Numbers:
    _, counts = np.unique(sample.labels, return_counts=True)
    return np.asarray(RANK_STEP * sample.rows / counts / areas)


# --- from the table of labels (rows) against predictions (columns) ---


def _of_table(sample: Sample, gradient: Callable[[Table], Table]) -> Influence:
    classes = int(max(sample.labels.max(), sample.values.max(), 1)) + 1
    labels, values = sample.labels.astype(np.int64), sample.values.astype(np.int64)
    table = np.bincount(labels * classes + values, minlength=classes**2).astype(float)
    by_cell = gradient(table.reshape(classes, classes)) * len(labels)
    present = np.unique(labels)
    # A wrong answer is the next class that there is, so that each class gets one false alarm.
    wrong = np.roll(present, -1) if len(present) > 1 else (present + 1) % classes
    flips = np.abs(by_cell[present, present] - by_cell[present, wrong])
    return Influence(by_cell[labels, values], flips)


def _inverse(counts: Numbers) -> Numbers:
    """Return 1 / counts, 0 where there is nothing."""
    return np.asarray(np.divide(1.0, counts, out=np.zeros_like(counts), where=counts > 0))


def _accuracy(table: Table) -> Table:
    rows = table.sum()
    return np.asarray((np.eye(len(table)) - np.trace(table) / rows) / rows)


def _recall_of(table: Table) -> TablePerClass:
    """Return the gradient of each class's recall."""
    each, by_label = np.eye(len(table)), _inverse(table.sum(axis=1))
    recalls = np.diagonal(table) * by_label
    inner = each[:, :, None] * each[:, None, :] - (recalls[:, None] * each)[:, :, None]
    return np.asarray(inner * by_label[:, None, None])


def _precision_of(table: Table) -> TablePerClass:
    return np.asarray(_recall_of(table.T).transpose(0, 2, 1))


def _f1s(table: Table) -> Numbers:
    both = _inverse(table.sum(axis=0) + table.sum(axis=1))
    return np.asarray(2 * np.diagonal(table) * both)


def _f1_of(table: Table) -> TablePerClass:
    each = np.eye(len(table))
    both = _inverse(table.sum(axis=0) + table.sum(axis=1))
    right = 2 * each[:, :, None] * each[:, None, :]
    seen = each[:, :, None] + each[:, None, :]
    return np.asarray((right - _f1s(table)[:, None, None] * seen) * both[:, None, None])


def _f1_weighted(table: Table) -> Table:
    rows, shares, scores = table.sum(), table.sum(axis=1), _f1s(table)
    moved = np.tensordot(shares, _f1_of(table), axes=1)
    return np.asarray((scores[:, None] + moved - (shares @ scores) / rows) / rows)


def _correlation(table: Table) -> Table:
    rows, right = table.sum(), np.trace(table)
    labels, values = table.sum(axis=1), table.sum(axis=0)
    joint = right * rows - labels @ values
    a, b = rows**2 - values @ values, rows**2 - labels @ labels
    if a == 0 or b == 0:
        return np.zeros_like(table)
    moved = right + rows * np.eye(len(table)) - values[:, None] - labels[None, :]
    spread = (rows - values)[None, :] / a + (rows - labels)[:, None] / b
    return np.asarray((moved - joint * spread) / np.sqrt(a * b))


def _macro(per_class: Callable[[Table], TablePerClass]) -> Callable[[Table], Table]:
    """Average over the classes of the labels."""

    def compute(table: Table) -> Table:
        seen = table.sum(axis=1) > 0
        return np.asarray(per_class(table)[seen].mean(axis=0))

    return compute


_TABLES: dict[str, Callable[[Table], Table]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _macro(_recall_of),
    "f1": lambda table: _f1_of(table)[1],
    "f1_macro": _macro(_f1_of),
    "f1_weighted": _f1_weighted,
    "matthews_corrcoef": _correlation,
    "precision": lambda table: _precision_of(table)[1],
    "precision_macro": _macro(_precision_of),
    "recall": lambda table: _recall_of(table)[1],
    "recall_macro": _macro(_recall_of),
}


TABLE_METRICS = frozenset(_TABLES)
"""The metrics of predicted classes."""


# --- from the errors of a regression ---


def _centred(values: Numbers) -> Numbers:
    return np.asarray(values - values.mean())


def _unexplained(labels: Targets, squares: Numbers) -> Numbers:
    """Of 1 minus the mean of ``squares`` divided by the variance of the labels."""
    spread = _centred(_centred(labels) ** 2)
    variance = labels.var()
    return np.asarray(-_centred(squares) / variance + squares.mean() * spread / variance**2)


def _root(error: Numbers) -> Numbers:
    root = np.sqrt((error**2).mean())
    return np.asarray(-_centred(error**2) / (2 * root)) if root > 0 else np.zeros_like(error)


def _median(error: Numbers) -> Numbers:
    """Of minus the median of the absolute errors.

    The density at the median is taken from the order statistics a standard error of the rank away
    to both sides (Woodruff, Journal of the American Statistical Association 47, 1952).
    """
    sizes = np.sort(np.abs(error))
    rows, middle = len(sizes), np.median(sizes)
    step = max(1, int(np.sqrt(rows)))
    low, high = max(0, rows // 2 - step), min(rows - 1, rows // 2 + step)
    width = (sizes[high] - sizes[low]) * rows / (high - low)
    return np.asarray(-width * (np.sign(np.abs(error) - middle) / 2))


_ERRORS: dict[str, Callable[[Targets, Numbers], Numbers]] = {
    "neg_mean_absolute_error": lambda _, error: -_centred(np.abs(error)),
    "neg_mean_squared_error": lambda _, error: -_centred(error**2),
    "neg_root_mean_squared_error": lambda _, error: _root(error),
    "neg_median_absolute_error": lambda _, error: _median(error),
    "r2": lambda labels, error: _unexplained(labels, error**2),
    "explained_variance": lambda labels, error: _unexplained(labels, _centred(error) ** 2),
}


# --- from the order of a binary problem's scores ---


def _area(labels: Targets, scores: Probabilities) -> Numbers:
    """DeLong's placements: how many of the other class a row lies right of, minus the area."""
    is_yes = labels == 1
    yes, no = np.sort(scores[is_yes]), np.sort(scores[~is_yes])

    def share_below(others: Probabilities, of: Probabilities) -> Numbers:
        below, up_to = np.searchsorted(others, of, "left"), np.searchsorted(others, of, "right")
        return np.asarray((below + up_to) / 2 / len(others))

    placed = np.empty(len(labels))
    placed[is_yes] = share_below(no, scores[is_yes])
    placed[~is_yes] = 1 - share_below(yes, scores[~is_yes])
    area = placed[is_yes].mean()
    return np.asarray((placed - area) * len(labels) / np.where(is_yes, len(yes), len(no)))


def _average_precision(labels: Targets, scores: Probabilities) -> Numbers:
    levels, place = np.unique(-scores, return_inverse=True)  # the highest score first
    is_yes = labels == 1
    yes = np.bincount(place, is_yes, len(levels))
    found, drawn = np.cumsum(yes), np.cumsum(np.bincount(place, minlength=len(levels)))
    precision, positives = found / drawn, yes.sum()

    def at_or_below(values: Numbers) -> Numbers:
        return np.asarray(np.cumsum(values[::-1])[::-1])

    # A row moves the precision at its own score and at all below.
    right = at_or_below(yes * (1 - precision) / drawn)[place]
    wrong = at_or_below(-yes * precision / drawn)[place]
    own = precision[place] - (precision @ yes) / positives
    return np.asarray(np.where(is_yes, own + right, wrong) * len(labels) / positives)


_RANKS: dict[str, Callable[[Targets, Probabilities], Numbers]] = {
    "roc_auc": _area,
    "average_precision": _average_precision,
}


# --- from the probabilities ---


def _log_likelihood(labels: Targets, probabilities: Probabilities) -> Numbers:
    if probabilities.ndim == 1:
        chosen = np.where(labels == 1, probabilities, 1 - probabilities)
    else:
        chosen = probabilities[np.arange(len(labels)), labels]
    smallest = np.finfo(probabilities.dtype).eps  # as scikit-learn clips them
    return _centred(np.log(np.clip(chosen, smallest, 1 - smallest)))


def _area_over_classes(labels: Targets, probabilities: Probabilities) -> Numbers:
    areas = [
        _area((labels == number).astype(np.int8), probabilities[:, number])
        for number in range(probabilities.shape[1])
    ]
    return np.asarray(np.mean(areas, axis=0))


_CHANCES: dict[str, Callable[[Targets, Probabilities], Numbers]] = {
    "neg_brier_score": lambda labels, chances: -_centred(np.square(chances - labels)),
    "neg_log_loss": _log_likelihood,
    "roc_auc_ovr": _area_over_classes,
}
