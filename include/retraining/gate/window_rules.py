"""The gate's rules by the periods before the holdout: no recipe passes by luck in the newest one.

The holdout alone is judged by the rules of `opponent_rules.py` and `lead_rules.py`. Its rows are
none of the earlier periods', so luck there does not help here: a recipe that is worse by the whole
margin in the earlier periods passes their pooled bound as seldom as the interval says.

Silent where a recipe is judged on the holdout alone, and where there is no such comparison with an
opponent on the holdout, which another rule reports.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from include.retraining.config.model import GatePolicy
from include.retraining.formatting.numbers import metric_name, signed
from include.retraining.formatting.text import truncate
from include.retraining.gate.identity import OPPONENTS, Gate, Rule
from include.retraining.gate.margin import margin_against
from include.retraining.gate.report import Comparison, EvaluationReport, Opponent, WindowScores
from include.retraining.gate.tries import level_words
from include.retraining.gate.verdict import (
    Answer,
    GateResult,
    better_than,
    compare,
    finite,
    result,
)


def judge_windows(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    """Compare the recipe with the naive baseline, the champion and the best of late in time."""
    earlier = (report.split.windows or 1) - 1
    if earlier == 0 and not report.windows:
        return
    gate = Gate(Rule.BASELINE_WINDOWS)
    if earlier != len(report.windows):
        text = f"{len(report.windows)} windows before the holdout were scored, of {earlier}"
        yield result(gate, Answer.CANNOT_JUDGE, text)
        return
    if report.against_baseline is not None:
        found = _periods("baseline", report.against_baseline, report)
        yield (
            result(gate, Answer.CANNOT_JUDGE, found)
            if isinstance(found, str)
            else _judge_pooled(gate, "naive baseline", found, 0.0)
        )
    for which, opponent in report.opponents:
        if opponent.comparison and opponent.serving.version != report.challenger.version:
            yield from _judge_opponent(which, opponent, opponent.comparison, report, policy)


def _judge_opponent(
    which: str,
    opponent: Opponent,
    newest: Comparison,
    report: EvaluationReport,
    policy: GatePolicy,
) -> Iterator[GateResult]:
    """Yield both rules against one opponent; NOT JUDGED where it was judged on fewer windows."""
    gate, found = Gate(Rule.POOLED_WINDOWS, (which,)), _periods(which, newest, report)
    if isinstance(found, str):
        windows = None if opponent.split is None else opponent.split.windows or 1
        is_of_fewer = windows is not None and windows < (report.split.windows or 1)
        yield result(gate, Answer.NOT_JUDGED if is_of_fewer else Answer.CANNOT_JUDGE, found)
        return
    margin = margin_against(opponent, report, policy).value
    yield _judge_pooled(gate, OPPONENTS[which], found, margin)
    periods = (*found, _Period("the holdout", newest))
    yield _judge_worst(Gate(Rule.WORST_WINDOW, (which,)), OPPONENTS[which], periods, margin)


class _Period(NamedTuple):
    name: str
    between: Comparison


def _periods(which: str, newest: Comparison, report: EvaluationReport) -> tuple[_Period, ...] | str:
    """Return the comparisons of the periods before the holdout, or why one says nothing."""
    periods = []
    for window in report.windows:
        name = f"the window from {window.after:%Y-%m-%d} to {window.until:%Y-%m-%d}"
        between = window.against.get(which)
        if between is None:
            reason = window.reasons.get(which, "it was not compared")
            return f"{name}: {truncate(reason, 300)}"
        obstacle = _obstacle(between, window, newest)
        if obstacle is not None:
            return f"{name}: {obstacle}"
        periods.append(_Period(name, between))
    return tuple(periods)


def _obstacle(between: Comparison, window: WindowScores, newest: Comparison) -> str | None:
    """Return why the comparison of a period says nothing, or None."""
    if between.holdout_digest != window.digest:
        return "it was compared on other rows"
    if between.metric != newest.metric:
        return f"the difference is of {truncate(between.metric, 80)}"
    numbers = (between.rows, between.difference, between.lower, between.upper, between.level)
    if None in [finite(number) for number in numbers] or between.rows < 1:
        return "a number of the comparison is missing or not a number"
    if not between.lower <= between.difference <= between.upper:
        return "the difference and its interval do not belong together"
    level = finite(newest.level)
    if level is None or between.level < level - 1e-12:
        return "its interval is of another level than the holdout's"
    return None


def _judge_pooled(gate: Gate, who: str, periods: Sequence[_Period], margin: float) -> GateResult:
    """Compare the lower end of the mean difference over the earlier periods with minus the margin.

    The mean is weighted by rows. Its lower end is by the periods' own, whose rows differ: G. Zou
    and A. Donner, "Construction of confidence limits about effect measures", Statistics in Medicine
    27, 2008.
    """
    first = periods[0].between
    rows = sum(float(one.between.rows) for one in periods)
    shares = [one.between.rows / rows for one in periods]
    mean = sum(share * one.between.difference for share, one in zip(shares, periods, strict=True))
    below = math.hypot(
        *(
            share * (one.between.difference - one.between.lower)
            for share, one in zip(shares, periods, strict=True)
        )
    )

    def explain(lower: float, limit: float, must: str) -> str:
        count = f"{len(periods)} {'window' if len(periods) == 1 else 'windows'}"
        text = (
            f"over the {count} before the holdout, {metric_name(first.metric)} is {signed(mean)} "
            f"against the {who}, the lower end of the {level_words(first.level)} interval "
            f"{signed(lower)}, plus is better"
        )
        return f"{text}; it must be above {signed(limit)}" if must else text

    return compare(gate, mean - below, 0.0 - margin, better_than, explain)


def _judge_worst(gate: Gate, who: str, periods: Sequence[_Period], margin: float) -> GateResult:
    """Compare the lowest difference of any period with minus the margin."""
    lowest = min(periods, key=lambda one: one.between.difference)

    def explain(difference: float, limit: float, must: str) -> str:
        text = (
            f"in {lowest.name}, {metric_name(lowest.between.metric)} is {signed(difference)} "
            f"against the {who}; no other window is worse"
        )
        return f"{text}; it must be above {signed(limit)}" if must else text

    return compare(gate, lowest.between.difference, -margin, better_than, explain)
