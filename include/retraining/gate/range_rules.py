"""The gate's rule that no number lies where its metric cannot be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from include.retraining.config.metric_ranges import MetricRange, limits_out_of_range, range_of
from include.retraining.config.model import GatePolicy
from include.retraining.formatting.numbers import is_error, metric_name, metric_value, number
from include.retraining.formatting.text import truncate
from include.retraining.gate.identity import OPPONENTS, Gate, Rule, subject_words
from include.retraining.gate.report import EvaluationReport
from include.retraining.gate.verdict import Answer, GateResult, finite, result

_METRIC_RANGES = Gate(Rule.METRIC_RANGES)


def numbers_in_range(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    """Refuse scores and limits that their metric cannot have. Silent when there are none.

    A champion's score is a gate of the comparison: a champion with senseless scores is one that
    cannot be compared.
    """
    for line in limits_out_of_range(policy):
        yield result(_METRIC_RANGES, Answer.CANNOT_JUDGE, truncate(line, 300))
    for gate, who, metrics in _scores(report, policy):
        for metric, score in sorted(metrics.items()):
            value, bounds = finite(score), range_of(metric, policy)
            if value is not None and bounds is not None and not bounds.holds(value):
                shown = number(metric_value(metric, value))
                words = _range_words(metric, bounds)
                text = f"{metric_name(metric)} of {who} is {shown}: it {words}"
                yield result(gate, Answer.CANNOT_JUDGE, text)


def _range_words(metric: str, bounds: MetricRange) -> str:
    """Return between what values a metric lies, as it is shown: an error from 0 upwards."""
    if not is_error(metric):
        return str(bounds)
    least, most = metric_value(metric, bounds.best), metric_value(metric, bounds.worst)
    return f"is at least {least:g}" if math.isinf(most) else f"lies from {least:g} to {most:g}"


def _scores(
    report: EvaluationReport, policy: GatePolicy
) -> Iterator[tuple[Gate, str, Mapping[str, float | None]]]:
    """Return everybody's scores, each with the gate that it is a matter of and whose they are."""
    yield _METRIC_RANGES, "the challenger", report.challenger.metrics
    yield _METRIC_RANGES, "the naive baseline", report.baseline.metrics
    for which, opponent in report.opponents:
        if opponent.scores is not None:
            gate = Gate(Rule.OPPONENT_RANGES, (which,))
            yield gate, f"the {OPPONENTS[which]}", opponent.scores.metrics
    for scores in report.slices:
        subject = (scores.column, scores.value)
        where = subject_words(subject)
        challenger, champion = Rule.SLICE_RANGE, Rule.SLICE_CHAMPION_RANGE
        yield Gate(challenger, subject), where, {policy.metric: scores.challenger}
        yield Gate(champion, subject), where, {policy.metric: scores.champion}
