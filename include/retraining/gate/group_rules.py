"""The gate's rules for slices and for the groups of a protected attribute.

Whether a group is large enough is decided here, from its rows and the policy at hand, so that a
replay under another policy judges by that policy. The values of a protected attribute are never
named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from include.retraining.config.model import FairnessGate, GatePolicy, SliceGate
from include.retraining.formatting.numbers import (
    at_least_words,
    distinguishable,
    metric_name,
    signed,
)
from include.retraining.formatting.text import truncate
from include.retraining.gate.identity import Gate, Rule, subject_words
from include.retraining.gate.report import EvaluationReport, Fairness, GroupRates, SliceScores
from include.retraining.gate.verdict import (
    Answer,
    GateResult,
    at_least,
    at_most,
    compare,
    finite,
    result,
)

JUDGED_NOBODY = (
    ", so this rule judged no group: take coarser groups or a lower gates.min_group_rows, or allow "
    "it with may_judge_nobody: true"
)


def judge_slices(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    """Judge each slice of each column that the policy names."""
    for rule in policy.slices:
        slices = [scores for scores in report.slices if scores.column == rule.column]
        if not slices:
            text = "the evaluation has no scores for this column"
            gate = Gate(Rule.SLICE_COVERAGE, (rule.column,))
            yield result(gate, Answer.CANNOT_JUDGE, text)
            continue
        answers = [one for scores in slices for one in _judge_slice(scores, rule, report, policy)]
        yield from answers
        is_first = report.champion is None and any(
            scores.rows >= policy.min_group_rows for scores in slices
        )  # what a drop is compared with comes with the first champion
        if not is_first:
            yield from _somebody_judged(answers, rule)


def _judge_slice(
    scores: SliceScores, rule: SliceGate, report: EvaluationReport, policy: GatePolicy
) -> Iterator[GateResult]:
    subject = (scores.column, scores.value)
    coverage = Gate(Rule.SLICE_COVERAGE, subject)
    if scores.rows < policy.min_group_rows:
        yield _too_small(coverage, scores.rows, policy)
        return
    if scores.undefined is not None:
        text = (
            f"{metric_name(policy.metric)} is not defined here: {truncate(scores.undefined, 200)}"
        )
        yield result(coverage, Answer.NOT_JUDGED, text)
        return
    what = f"{metric_name(policy.metric)} of {subject_words(subject)}"
    if rule.minimum is not None:
        explain = partial(at_least_words, policy.metric, what)
        gate = Gate(Rule.SLICE_MINIMUM, subject)
        yield compare(gate, scores.challenger, rule.minimum, at_least, explain)
    drop = Gate(Rule.SLICE_DROP, subject)
    if rule.max_drop is not None and report.champion is None:
        yield result(drop, Answer.NOT_JUDGED, "nothing serves yet")
    elif rule.max_drop is not None:
        champion = finite(scores.champion)
        least = None if champion is None else champion - rule.max_drop
        yield compare(
            drop,
            scores.challenger,
            least,
            partial(_not_shown_to_be_lower, scores),
            _drop_words(scores, policy.metric, what),
        )


def _not_shown_to_be_lower(scores: SliceScores, value: float, least: float) -> bool:
    """Return whether a slice is within its drop, or its lower score may be chance.

    It is shown to be worse when its interval lies below 0. In a report from before slices had one,
    the score alone decides, as it did then.
    """
    upper = finite(scores.upper)
    return at_least(value, least) or (upper is not None and at_least(upper, 0.0))


def _drop_words(scores: SliceScores, metric: str, what: str) -> Callable[..., str]:
    """Return the sentence of a slice that is compared with the champion's."""

    def explain(value: float, limit: float, must: str) -> str:
        upper = finite(scores.upper)
        if must or upper is None or at_least(value, limit):
            return at_least_words(metric, what, value, limit, must)
        lower = at_least_words(metric, what, value, limit, "should be ")
        return f"{lower}, which may be chance: the difference may be up to {signed(upper)}"

    return explain


def _somebody_judged(answers: Iterable[GateResult], rule: SliceGate) -> Iterator[GateResult]:
    """A rule that judged no slice is no pass. Silent when it judged one, or need not."""
    if not rule.may_judge_nobody and all(one.answer is Answer.NOT_JUDGED for one in answers):
        gate = Gate(Rule.SLICE_COVERAGE, (rule.column,))
        text = "no slice is large enough or could be measured"
        yield result(gate, Answer.CANNOT_JUDGE, text + JUDGED_NOBODY)


def judge_fairness(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    """Judge each protected attribute that the policy names."""
    for rule in policy.fairness:
        audits = [item for item in report.fairness if item.attribute == rule.attribute]
        if len(audits) != 1:
            gate = Gate(Rule.FAIRNESS_COVERAGE, (rule.attribute,))
            text = f"the evaluation has {len(audits) or 'no'} entries for this attribute"
            yield result(gate, Answer.CANNOT_JUDGE, text)
        else:
            yield from _judge_attribute(audits[0], rule, policy)


def _judge_attribute(
    audit: Fairness, rule: FairnessGate, policy: GatePolicy
) -> Iterator[GateResult]:
    subject = (rule.attribute,)
    judged = [group for group in audit.groups if group.rows >= policy.min_group_rows]
    if len(judged) < 2:
        gate = Gate(Rule.FAIRNESS_COVERAGE, subject)
        text = f"fewer than two groups have {policy.min_group_rows} rows"
        if rule.may_judge_nobody:
            yield result(gate, Answer.NOT_JUDGED, text, len(judged), 2)
        else:
            yield result(gate, Answer.CANNOT_JUDGE, text + JUDGED_NOBODY, len(judged), 2)
        return
    is_as_reported = judged == [group for group in audit.groups if group.is_judged]
    if rule.min_disparate_impact is not None:
        ratio = audit.disparate_impact if is_as_reported else disparate_impact(judged)
        gate = Gate(Rule.DISPARATE_IMPACT, subject)
        yield compare(gate, ratio, rule.min_disparate_impact, at_least, _impact_words)
    if rule.max_equalized_odds_difference is not None:
        gap = audit.equalized_odds_difference if is_as_reported else equalized_odds(judged)
        limit, gate = rule.max_equalized_odds_difference, Gate(Rule.EQUALIZED_ODDS, subject)
        yield compare(gate, gap, limit, at_most, _odds_words)
    for group in audit.groups:
        if group not in judged:
            yield _too_small(Gate(Rule.SMALL_GROUP, subject), group.rows, policy)


def disparate_impact(groups: list[GroupRates]) -> float | None:
    """Return the lowest selection rate divided by the highest, or None where there is none."""
    rates = _known([group.selection_rate for group in groups])
    return min(rates) / max(rates) if rates and max(rates) > 0 else None


def equalized_odds(groups: list[GroupRates]) -> float | None:
    """Return the greater of the differences in true and in false positive rate, or None."""
    true, false = (
        _known([getattr(group, name) for group in groups])
        for name in ("true_positive_rate", "false_positive_rate")
    )
    if not true or not false:
        return None
    return max(max(true) - min(true), max(false) - min(false))


def _known(rates: list[float | None]) -> list[float]:
    """Return the rates, or none at all when one of them is missing."""
    known = [rate for rate in map(finite, rates) if rate is not None]
    return known if len(known) == len(rates) else []


def _too_small(gate: Gate, rows: int, policy: GatePolicy) -> GateResult:
    text = f"it has fewer than {policy.min_group_rows} rows and is not judged"
    return result(gate, Answer.NOT_JUDGED, text, rows, policy.min_group_rows)


def _impact_words(ratio: float, limit: float, must: str) -> str:
    shown, least = distinguishable(ratio, limit)
    return (
        f"the selection rate of the least favoured group is {shown} of the most favoured one's, "
        f"{must}at least {least}"
    )


def _odds_words(gap: float, limit: float, must: str) -> str:
    shown, most = distinguishable(gap, limit)
    return f"true or false positive rates of groups differ by {shown}, {must}at most {most}"
