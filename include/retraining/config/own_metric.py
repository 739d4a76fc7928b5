"""A team's own metric: declared in a model's YAML, computed by a scorer of scikit-learn.

The YAML says what the gate must know without running anything: the name, between what values it
lies, and what it needs of a model. The scorer lies in a file beside the models (`scorers.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from include.retraining.config.base import Limit, Section

MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,47}$")]


class OwnMetric(Section):
    """A metric that a team registers (docs/own-metrics.md)."""

    scorer: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*$")]
    """`MODULE.NAME`: a scikit-learn scorer (`make_scorer`) of that name in
    `include/models/MODULE.py`. Greater is better; an error is negated
    (`greater_is_better=False`), and the metric's name then begins with `neg_`."""
    worst: Limit | None = None
    """The least value that it may have; null: there is none."""
    best: Limit | None = None
    """The greatest value, that of a model that is always right; null: there is none."""
    needs: Literal["predictions", "probabilities", "ranking"] = "predictions"
    """What it is computed from: `predict`; `predict_proba`; or what puts the rows of a binary
    problem in order, `predict_proba` or `decision_function`."""

    @model_validator(mode="after")
    def _ordered(self) -> OwnMetric:
        if self.worst is not None and self.best is not None and self.worst >= self.best:
            raise ValueError(f"worst {self.worst} is not below best {self.best}")
        return self

    @property
    def module(self) -> str:
        """The file beside the models that holds its scorer, without its ending."""
        return self.scorer.partition(".")[0]


def misnamed(
    own_metrics: Mapping[str, OwnMetric], problem: str, known: Collection[str]
) -> Iterator[str]:
    """Yield which own metrics of a model cannot be what its YAML says, a line each.

    Args:
        own_metrics: by name.
        problem: the kind of label.
        known: the names that are taken.
    """
    for name, metric in own_metrics.items():
        field = f"gates.own_metrics.{name}"
        if name in known:
            yield f"{field}: is the name of a metric that there is already: choose another"
        if problem == "regression" and metric.needs != "predictions":
            yield f"{field}.needs: a regression gives `predictions` only"
        elif metric.needs == "ranking" and problem != "binary":
            yield f"{field}.needs: only a binary problem has one `ranking` of its rows"
