"""What a gate measured and its limit as they are shown: an error is positive, less is better.

What is stored is as it was compared, where greater is better.
"""

from __future__ import annotations

from typing import NamedTuple

from include.retraining.formatting.numbers import metric_value
from include.retraining.gate.identity import Rule
from include.retraining.gate.verdict import GateResult

_OF_DECISION_METRIC = frozenset({
    Rule.BASELINE,
    Rule.CHAMPION_SCORE,
    Rule.SLICE_MINIMUM,
    Rule.SLICE_DROP,
})
"""The rules whose numbers are scores by the decision metric. Those of opponents are differences, of
which more is better for any metric."""


class ShownNumbers(NamedTuple):
    """The numbers of a gate, each None where there is none."""

    value: float | None
    limit: float | None


def shown_numbers(gate: GateResult, decision_metric: str) -> ShownNumbers:
    """Return a gate's value and limit as they are shown.

    Args:
        gate: the result.
        decision_metric: of the evaluation that was judged.
    """
    metric = ""
    if gate.rule is Rule.MINIMUM:
        metric = next(iter(gate.subject), "")
    elif gate.rule in _OF_DECISION_METRIC:
        metric = decision_metric
    return ShownNumbers(
        *(
            None if number is None else metric_value(metric, number)
            for number in (gate.value, gate.limit)
        )
    )
