"""The scorers of a team's own metrics: loaded from beside the models, and held against the YAML."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from include.retraining.config.model import ModelConfig
from include.retraining.config.model_import import import_model
from include.retraining.config.own_metric import OwnMetric
from include.retraining.exceptions import ConfigError

Scorer = Callable[[Any, Any, Any], float]
"""Called as scikit-learn calls one: with a fitted estimator, rows and labels."""
RESPONSES: dict[str, frozenset[Any]] = {
    "predictions": frozenset({"predict"}),
    "probabilities": frozenset({"predict", "predict_proba"}),
    "ranking": frozenset({
        "predict",
        "predict_proba",
        "decision_function",
        ("decision_function", "predict_proba"),
        ("predict_proba", "decision_function"),
    }),
}
"""By what a metric needs, the `response_method` that its scorer may have."""


def load_scorers(config: ModelConfig) -> dict[str, Scorer]:
    """Return the scorers of a model's own metrics, by the metric's name.

    Raises:
        ConfigError: a line for each that is not there or not what the YAML says.
    """
    scorers: dict[str, Scorer] = {}
    problems = []
    for name, metric in config.gates.own_metrics.items():
        where = f"include/models/{metric.module}.py"
        field = f"gates.own_metrics.{name}.scorer of include/models/{config.name}.yaml"
        try:
            module = import_model(metric.module)
        except Exception as error:  # noqa: BLE001 whatever the team's file raises
            problems.append(f"{where}: cannot be imported for {field}: {type(error).__name__}")
            continue
        scorer = getattr(module, metric.scorer.partition(".")[2], None)
        if not callable(scorer):
            problems.append(f"{where}: must define the scorer {metric.scorer!r} for {field}")
            continue
        problems += [f"{where}: {line}: see {field}" for line in _differing(name, metric, scorer)]
        scorers[name] = scorer
    if problems:
        raise ConfigError("\n".join(problems))
    return scorers


def _differing(name: str, metric: OwnMetric, scorer: Any) -> Iterator[str]:
    """Yield where a scorer made by `make_scorer` is not what the YAML says of it."""
    is_error = name.startswith("neg_")
    sign, method = getattr(scorer, "_sign", None), getattr(scorer, "_response_method", None)
    if sign is not None and (sign < 0) != is_error:
        direction = "greater_is_better=False" if sign < 0 else "greater_is_better=True"
        must = "must begin" if sign < 0 else "must not begin"
        yield f"{metric.scorer} has {direction}, so the metric's name {must} with 'neg_'"
    method = tuple(method) if isinstance(method, list | tuple) else method
    if method is not None and method not in RESPONSES[metric.needs]:
        yield (
            f"{metric.scorer} asks for {method}, and `needs: {metric.needs}` does not allow that"
        )
