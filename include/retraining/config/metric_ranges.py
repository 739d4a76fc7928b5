"""Which metrics there are for which problem, and between what values each of them lies.

Light on purpose: a DAG file imports this at every parse, so nothing is imported here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from include.retraining.config.gate_policy import GatePolicy

TOLERANCE = 1e-9
"""By how much a score may lie outside: sums of many floats do not end at just 1."""
OF_CHANCES = frozenset({"neg_brier_score", "neg_log_loss", "roc_auc_ovr"})
"""The metrics that need `predict_proba()`, as scikit-learn's scorers of these names do."""
OF_RANKS = frozenset({"average_precision", "roc_auc"})
"""Those that take `decision_function()` as well."""


class MetricRange(NamedTuple):
    """The values that a metric may have. Greater is better for each: errors are negated."""

    worst: float
    """The least value; minus infinity where there is none."""
    best: float
    """The greatest value: that of a model that is always right."""

    def holds(self, value: float) -> bool:
        """Return whether a metric may have this value."""
        return self.worst - TOLERANCE <= value <= self.best + TOLERANCE

    def __str__(self) -> str:
        if math.isinf(self.worst):
            return f"is at most {self.best:g}"
        if math.isinf(self.best):
            return f"is at least {self.worst:g}"
        return f"lies from {self.worst:g} to {self.best:g}"


_SHARE = MetricRange(0, 1)
_CORRELATION = MetricRange(-1, 1)
_NEGATED_SHARE = MetricRange(-1, 0)
_NEGATED_ERROR = MetricRange(-math.inf, 0)
_EXPLAINED = MetricRange(-math.inf, 1)

# The scorers of scikit-learn (sklearn.metrics.get_scorer_names) that the three problems share
# with our evaluation.
RANGES: dict[str, dict[str, MetricRange]] = {
    "binary": {
        "accuracy": _SHARE,
        "average_precision": _SHARE,
        "balanced_accuracy": _SHARE,
        "f1": _SHARE,
        "matthews_corrcoef": _CORRELATION,
        "neg_brier_score": _NEGATED_SHARE,
        "neg_log_loss": _NEGATED_ERROR,
        "precision": _SHARE,
        "recall": _SHARE,
        "roc_auc": _SHARE,
    },
    "multiclass": {
        "accuracy": _SHARE,
        "balanced_accuracy": _SHARE,
        "f1_macro": _SHARE,
        "f1_weighted": _SHARE,
        "matthews_corrcoef": _CORRELATION,
        "neg_log_loss": _NEGATED_ERROR,
        "precision_macro": _SHARE,
        "recall_macro": _SHARE,
        "roc_auc_ovr": _SHARE,
    },
    "regression": {
        "explained_variance": _EXPLAINED,
        "neg_mean_absolute_error": _NEGATED_ERROR,
        "neg_mean_squared_error": _NEGATED_ERROR,
        "neg_median_absolute_error": _NEGATED_ERROR,
        "neg_root_mean_squared_error": _NEGATED_ERROR,
        "r2": _EXPLAINED,
    },
}

METRICS: dict[str, frozenset[str]] = {problem: frozenset(of) for problem, of in RANGES.items()}
"""The names of the metrics that a problem may be judged by."""

_BY_NAME = {name: bounds for of in RANGES.values() for name, bounds in of.items()}


def range_of(metric: str, policy: GatePolicy) -> MetricRange | None:
    """Return between what values a metric lies; None for a metric that there is not.

    Args:
        metric: its name.
        policy: the rules of a model, with the metrics of its team.
    """
    own = policy.own_metrics.get(metric)
    if own is None:
        return _BY_NAME.get(metric)
    return MetricRange(
        -math.inf if own.worst is None else own.worst, math.inf if own.best is None else own.best
    )


def metrics_for(problem: str, policy: GatePolicy) -> frozenset[str]:
    """Return the names of the metrics that a model may be judged by, those of its team included."""
    return METRICS.get(problem, frozenset()) | policy.own_metrics.keys()


def limits_out_of_range(policy: GatePolicy) -> Iterator[str]:
    """Say which limits of a policy no score can be held against, a line each."""
    decision = range_of(policy.metric, policy)
    for metric, least in sorted(policy.minimum.items()):
        bounds = range_of(metric, policy)
        yield from _no_value(f"gates.minimum.{metric}", metric, least, bounds)
    margin = policy.champion.margin
    if margin is not None:
        yield from _no_difference("gates.champion.margin", margin, policy.metric, decision)
    for at, rule in enumerate(policy.slices):
        if rule.minimum is not None:
            yield from _no_value(
                f"gates.slices.{at}.minimum", policy.metric, rule.minimum, decision
            )
        if rule.max_drop is not None:
            field = f"gates.slices.{at}.max_drop"
            yield from _no_difference(field, rule.max_drop, policy.metric, decision)


def _no_value(field: str, metric: str, value: float, bounds: MetricRange | None) -> Iterator[str]:
    if bounds is None or bounds.holds(value):
        return
    hint = ""
    if bounds.best == 0 and bounds.holds(-value):
        hint = f": an error is written negated, {-value:g}"
    elif bounds.worst > -math.inf and bounds.holds(value / 100):
        hint = f": {value:g} % is {value / 100:g}"
    yield f"{field}: is {value:g}, {metric} {bounds}{hint}"


def _no_difference(
    field: str, value: float, metric: str, bounds: MetricRange | None
) -> Iterator[str]:
    if bounds is None or value < bounds.best - bounds.worst:
        return
    yield f"{field}: is {value:g}, which allows anything: {metric} {bounds}"
