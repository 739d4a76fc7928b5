"""The gate's rules by the lead over the naive baseline: of the challenger, and of the champion."""

from __future__ import annotations

import math
from collections.abc import Iterator

from include.retraining.config.model import GatePolicy
from include.retraining.formatting.numbers import (
    better_direction,
    distinguishable,
    metric_name,
    metric_value,
    number,
    signed,
)
from include.retraining.formatting.text import truncate
from include.retraining.gate.identity import Gate, Rule
from include.retraining.gate.report import Comparison, EvaluationReport, undefined_words
from include.retraining.gate.verdict import Answer, GateResult, better_than, compare, finite, result

BASELINE_GATE = Gate(Rule.BASELINE)
DATA_GATE = Gate(Rule.CHAMPION_SCORE)
Z_95 = 1.959963984540054
FAR = 2.0
"""How many times what both intervals allow a champion's score must have fallen by."""
KEPT = 0.5
"""What share of its lead over the naive baseline must be gone."""


def judge_lead(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    """The challenger beats the naive baseline: the lower end of the paired difference is above 0.

    A report from before the two were compared is judged by the scores alone, as it was then.
    """
    challenger = report.challenger.metrics.get(policy.metric)
    baseline = report.baseline.metrics.get(policy.metric)

    def explain(value: float, limit: float, must: str) -> str:
        score_words, limit_words = distinguishable(
            *(metric_value(policy.metric, score) for score in (value, limit))
        )
        bound = f"{better_direction(policy.metric)} the naive baseline's {limit_words}"
        return f"{metric_name(policy.metric)} is {score_words}, {must}{bound}"

    undefined = undefined_words(report.challenger, policy.metric) or undefined_words(
        report.baseline, policy.metric
    )
    by_score = compare(
        BASELINE_GATE, challenger, baseline, better_than, explain, undefined=undefined
    )
    if report.baseline.answers is None or by_score.answer is not Answer.PASS:
        yield by_score
        return
    between = report.against_baseline
    obstacle = _obstacle(between, report, policy)
    if between is None or obstacle is not None:
        text = f"the challenger cannot be compared with the naive baseline: {obstacle}"
        yield result(BASELINE_GATE, Answer.CANNOT_JUDGE, text)
        return
    interval = f"95 % interval {signed(between.lower)} to {signed(between.upper)}"
    lead_words = f"{by_score.reason} by {number(between.difference)}, {interval}"

    def explain_lead(_value: float, _limit: float, must: str) -> str:
        return (
            f"{lead_words}: that may be chance, the lower end must be above 0"
            if must
            else lead_words
        )

    # In the metric's own unit, as the score is: the pages draw the limit beside the scores.
    least = (finite(baseline) or 0.0) + between.lower
    yield compare(BASELINE_GATE, least, baseline, better_than, explain_lead)


def _obstacle(
    between: Comparison | None, report: EvaluationReport, policy: GatePolicy
) -> str | None:
    """Return why the comparison with the naive baseline says nothing, or None."""
    if between is None:
        return "their difference has no interval"
    if between.holdout_digest != report.holdout.digest:
        return "it was on other rows"
    if between.metric != policy.metric:
        return f"the difference is of {truncate(between.metric, 80)}, not of {policy.metric}"
    numbers = (finite(between.difference), finite(between.lower), finite(between.upper))
    if None in numbers or between.lower > between.upper:
        return "their difference or its interval is not a number"
    scores = (report.challenger.metrics, report.baseline.metrics)
    challenger, baseline = (finite(metrics.get(policy.metric)) or 0.0 for metrics in scores)
    gap = abs(between.difference - (challenger - baseline))
    if gap > 1e-9 * max(1.0, abs(challenger), abs(baseline)):
        return "the scores and their difference do not belong together"
    return None


def judge_data(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    """A champion that is far worse than when it was judged is a sign that the data changed.

    Then this holdout cannot show which is better: a challenger that learned from the same
    delivery may be as wrong as it. Far is both: the score fell by more than twice what the 95 %
    intervals of then and now allow together, and less than half of the lead over the naive
    baseline is left, so that neither chance nor another mix of classes is taken for it.

    Silent where nothing serves or the champion has no score, which another rule reports.
    """
    champion = report.champion
    if champion is None or champion.error is not None or champion.scores is None:
        return
    now, then = champion.scores, champion.judged
    if then is None or then.metric != policy.metric:
        text = "no score of the time when it was judged was kept, so none is compared"
        yield result(DATA_GATE, Answer.NOT_JUDGED, text)
        return
    value, baseline = now.metrics.get(policy.metric), report.baseline.metrics.get(policy.metric)
    numbers = (value, now.standard_error, baseline, then.value, then.standard_error, then.baseline)
    known = [item for item in map(finite, numbers) if item is not None]
    if len(known) < len(numbers):
        text = "a score of then or now, or how certain it is, is missing or not a number"
        yield result(DATA_GATE, Answer.CANNOT_JUDGE, text)
        return
    score, error, naive, score_then, error_then, naive_then = known
    allowed = FAR * Z_95 * math.hypot(error, error_then)
    lead, lead_then = score - naive, score_then - naive_then
    is_far = score_then - score > allowed and lead < KEPT * lead_then
    now_words, then_words = distinguishable(
        *(metric_value(policy.metric, item) for item in (score, score_then))
    )
    text = (
        f"the champion's {metric_name(policy.metric)} is {now_words} here and was {then_words} ± "
        f"{number(Z_95 * error_then, 2)} when it was judged; its lead over the naive baseline is "
        f"{signed(lead)} and was {signed(lead_then)}"
    )
    answer = Answer.CANNOT_JUDGE if is_far else Answer.PASS
    text = f"the data changed, not the model: {text}" if is_far else text
    yield result(DATA_GATE, answer, text, score, score_then - allowed)
