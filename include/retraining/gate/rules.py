"""The quality gate: one pure function from a report and a policy to a verdict.

A number that is missing, NaN or infinite is never compared: it is CANNOT JUDGE. A slice or group
that is too small is NOT JUDGED, which neither passes nor refuses.

The whole verdict is CANNOT JUDGE when any rule cannot be judged, even when another rule fails: what
could not be judged needs attention, and a failure beside it must not hide that. It is FAIL when any
rule fails, and PASS only when a rule passed and none did otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from include.retraining.config.metric_ranges import metrics_for
from include.retraining.config.model import GatePolicy
from include.retraining.formatting.numbers import (
    at_least_words,
    distinguishable,
    metric_name,
    metric_value,
    number,
)
from include.retraining.formatting.text import truncate
from include.retraining.gate.calibration_rules import judge_calibration
from include.retraining.gate.group_rules import judge_fairness, judge_slices
from include.retraining.gate.identity import Gate, Rule
from include.retraining.gate.lead_rules import judge_data, judge_lead
from include.retraining.gate.opponent_rules import judge_against_best, judge_against_champion
from include.retraining.gate.range_rules import numbers_in_range
from include.retraining.gate.report import EvaluationReport, undefined_words
from include.retraining.gate.verdict import (
    REFUSALS,
    Answer,
    GateResult,
    Verdict,
    at_least,
    at_most,
    compare,
    exactly,
    finite,
    result,
)
from include.retraining.gate.window_rules import judge_windows

__all__ = ["Answer", "GateResult", "Verdict", "judge"]


def judge(report: EvaluationReport, policy: GatePolicy, *, report_digest: str) -> Verdict:
    """Judge a challenger by its evaluation.

    Pure and total: the same report and policy give the same verdict, and no report makes it raise.

    Args:
        report: what was measured.
        policy: the rules.
        report_digest: SHA-256 of the stored report, carried into the verdict.
    """
    gates = tuple(answer for rule in _RULES for answer in rule(report, policy))
    answer = _overall(gates)
    return Verdict(
        answer=answer,
        headline=_headline(answer, gates, report, policy),
        gates=gates,
        run_id=report.run_id,
        fingerprint=report.fingerprint,
        report_digest=report_digest,
        policy_digest=policy.digest,
        judged_against=report.champion.serving.generation if report.champion else 0,
    )


def _overall(gates: Iterable[GateResult]) -> Answer:
    answers = {gate.answer for gate in gates}
    if Answer.CANNOT_JUDGE in answers:
        return Answer.CANNOT_JUDGE
    if Answer.FAIL in answers:
        return Answer.FAIL
    return Answer.PASS if Answer.PASS in answers else Answer.CANNOT_JUDGE


def _headline(
    answer: Answer, gates: tuple[GateResult, ...], report: EvaluationReport, policy: GatePolicy
) -> str:
    if answer is Answer.PASS:
        champion = report.champion.scores if report.champion else None
        challenger_score, opponent_score = (
            number(metric_value(policy.metric, finite(scores.metrics.get(policy.metric)) or 0.0))
            for scores in (report.challenger, champion or report.baseline)
        )
        who = "the champion's" if champion else "the naive baseline's"
        passed = sum(gate.answer is Answer.PASS for gate in gates)
        return (
            f"{metric_name(policy.metric)} is {challenger_score} against {who} {opponent_score}, "
            f"and all {passed} gates pass"
        )
    refusals = [gate for gate in gates if gate.answer in REFUSALS]
    first = next((gate for gate in refusals if gate.answer is answer), None)
    if first is None:
        return "no rule gave an answer"
    others = len(refusals) - 1
    more = f" (and {others} more {'gate' if others == 1 else 'gates'})" if others else ""
    return f"{first.gate}: {first.reason}{more}"


# The rules, in the order in which they are shown.


def _right_metric(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    """The decision metric is known and is the one that was measured. Silent when it is."""
    if policy.metric not in metrics_for(report.problem, policy):
        metric, problem = truncate(policy.metric, 80), truncate(report.problem, 80)
        text = f"{metric!r} is not a metric for a {problem} problem"
        yield result(Gate(Rule.DECISION_METRIC), Answer.CANNOT_JUDGE, text)
    elif report.metric != policy.metric:
        text = (
            f"the evaluation is by {truncate(report.metric, 80)}, the rules are by {policy.metric}"
        )
        yield result(Gate(Rule.DECISION_METRIC), Answer.CANNOT_JUDGE, text)


def _same_rows(report: EvaluationReport, _: GatePolicy) -> Iterator[GateResult]:
    """Challenger and baseline were scored on the holdout. Silent when they were."""
    scored_on = {report.challenger.holdout_digest, report.baseline.holdout_digest}
    if scored_on != {report.holdout.digest}:
        text = "challenger and baseline were not scored on the rows of the holdout"
        yield result(Gate(Rule.SAME_ROWS), Answer.CANNOT_JUDGE, text)


def _enough_rows(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    yield compare(
        Gate(Rule.HOLDOUT_ROWS),
        report.holdout.rows,
        policy.min_holdout_rows,
        at_least,
        lambda rows, least, must: f"the holdout has {rows:.0f} rows, {must}at least {least:.0f}",
        otherwise=Answer.CANNOT_JUDGE,
    )


def _no_leak(report: EvaluationReport, _: GatePolicy) -> Iterator[GateResult]:
    yield compare(
        Gate(Rule.NO_LEAK),
        report.holdout.rows_in_training,
        0,
        exactly,
        _leak_words,
        otherwise=Answer.CANNOT_JUDGE,
    )


def _leak_words(rows: float, most: float, must: str) -> str:
    text = f"{rows:.0f} rows of the holdout are in the training data"
    return f"{text}, {must}{most:.0f}" if must else text


def _new_version(report: EvaluationReport, _: GatePolicy) -> Iterator[GateResult]:
    """The champion is never promoted again. Silent for another version."""
    if report.champion and report.champion.serving.version == report.challenger.version:
        text = f"version {truncate(report.challenger.version, 80)} serves already"
        yield result(Gate(Rule.NEW_VERSION), Answer.FAIL, text)


def _minimum(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    for metric, least in sorted(policy.minimum.items()):
        yield compare(
            Gate(Rule.MINIMUM, (metric,)),
            report.challenger.metrics.get(metric),
            least,
            at_least,
            partial(at_least_words, metric, metric_name(metric)),
            undefined=undefined_words(report.challenger, metric),
        )


def _limits(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    limits, challenger = policy.limits, report.challenger
    size = None if challenger.model_bytes is None else finite(challenger.model_bytes)
    for rule, unit, value, most in (
        (
            Rule.LATENCY,
            "ms per 1,000 rows",
            challenger.latency_ms_per_1000_rows,
            limits.latency_ms_per_1000_rows,
        ),
        (Rule.MODEL_SIZE, "MB", None if size is None else size / 1e6, limits.model_mb),
    ):
        if most is not None:
            gate = Gate(rule)
            yield compare(gate, value, most, at_most, partial(_at_most_words, gate.title, unit))


def _at_most_words(what: str, unit: str, value: float, limit: float, must: str) -> str:
    shown, most = distinguishable(value, limit)
    return f"{what} is {shown} {unit}, {must}at most {most}"


_RULES = (
    _right_metric,
    numbers_in_range,
    _same_rows,
    _enough_rows,
    _no_leak,
    _new_version,
    _minimum,
    judge_lead,
    judge_data,
    judge_against_champion,
    judge_against_best,
    judge_calibration,
    judge_windows,
    judge_slices,
    judge_fairness,
    _limits,
)
