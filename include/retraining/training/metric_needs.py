"""What a metric needs of an estimator, and which metrics cannot decide."""

from __future__ import annotations

from typing import Any

from include.retraining.config.metric_ranges import OF_CHANCES, OF_RANKS
from include.retraining.config.model import ModelConfig
from include.retraining.exceptions import TrainingError


def require_answers(config: ModelConfig, estimator: Any, *, is_fitted: bool) -> None:
    """Refuse an estimator that cannot give what the gate's metrics are computed from.

    Args:
        config: the model's.
        estimator: what its function returned. One that is not fitted is judged by its class: some
            have a method only once they are fitted.
        is_fitted: whether it is.

    Raises:
        TrainingError: naming the metric, what is lacking and what to do.
    """
    if config.problem == "regression":
        return
    last = estimator
    while not is_fitted and hasattr(last, "steps"):  # a pipeline has what its last step has
        last = last.steps[-1][1]

    def has(method: str) -> bool:
        return hasattr(last, method) or (not is_fitted and hasattr(type(last), method))

    own = config.gates.own_metrics
    of_ranks = OF_RANKS | {name for name, metric in own.items() if metric.needs == "ranking"}
    of_chances = OF_CHANCES | {n for n, metric in own.items() if metric.needs == "probabilities"}
    for metric in dict.fromkeys((config.gates.metric, *config.gates.minimum)):
        if has("predict_proba") or metric not in of_chances | of_ranks:
            continue
        if metric in of_ranks and has("decision_function"):
            continue
        lacking = "predict_proba()"
        if metric in of_ranks:
            lacking = "neither predict_proba() nor decision_function()"
        raise TrainingError(
            f"include/models/{config.name}.py: {config.training.entry_point}() returned "
            f"{type(last).__name__}, which has {'' if metric in of_ranks else 'no '}{lacking}, and "
            f"the gate's metric {metric} needs it: return one that has it (for example in "
            "CalibratedClassifierCV), or choose a metric of predicted classes"
        )
