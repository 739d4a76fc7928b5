"""The quality gate: one pure function from a report and a policy to a verdict.

A number that is missing, NaN or infinite is never compared: it is CANNOT JUDGE. A slice or group
that is too small is NOT JUDGED, which neither passes nor refuses.

The whole verdict is CANNOT JUDGE when any rule cannot be judged, even when another rule says no:
what could not be judged needs a person, and a refusal beside it must not hide that. It is FAIL when
any rule says no, and PASS only when a rule passed and none did otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from include.retraining.config.metric_ranges import METRICS
from include.retraining.config.model import GatePolicy
from include.retraining.data.split_record import SplitUsed
from include.retraining.formatting.numbers import (
    at_least_words,
    distinguishable,
    metric_name,
    metric_value,
    number,
    signed,
)
from include.retraining.formatting.text import truncate
from include.retraining.gate.group_rules import judge_fairness, judge_slices
from include.retraining.gate.lead_rules import judge_data, judge_lead
from include.retraining.gate.margin import margin_against, why_never_met
from include.retraining.gate.range_rules import numbers_in_range
from include.retraining.gate.report import Comparison, EvaluationReport, Opponent, undefined_words
from include.retraining.gate.tries import MAX_TRIES, level_of, level_words, ordinal, try_words
from include.retraining.gate.verdict import (
    REFUSALS,
    Answer,
    GateResult,
    Verdict,
    at_least,
    at_most,
    better_than,
    exactly,
    finite,
    held,
    result,
)

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
        ours, theirs = (
            number(metric_value(policy.metric, finite(scores.metrics.get(policy.metric)) or 0.0))
            for scores in (report.challenger, champion or report.baseline)
        )
        who = "the champion's" if champion else "the naive baseline's"
        passed = sum(gate.answer is Answer.PASS for gate in gates)
        return (
            f"{metric_name(policy.metric)} is {ours} against {who} {theirs}, and all {passed} "
            "gates pass"
        )
    refusals = [gate for gate in gates if gate.answer in REFUSALS]
    first = next((gate for gate in refusals if gate.answer is answer), None)
    if first is None:
        return "no rule gave an answer"
    others = len(refusals) - 1
    more = f" (and {others} more {'gate' if others == 1 else 'gates'})" if others else ""
    return f"{first.gate}: {first.reason}{more}"


# The rules, in the order in which a person reads them.


def _right_metric(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    """The decision metric is known and is the one that was measured. Silent when it is."""
    if policy.metric not in METRICS.get(report.problem, frozenset()):
        metric, problem = truncate(policy.metric, 80), truncate(report.problem, 80)
        text = f"{metric!r} is not a metric for a {problem} problem"
        yield result("decision metric", Answer.CANNOT_JUDGE, text)
    elif report.metric != policy.metric:
        text = (
            f"the evaluation is by {truncate(report.metric, 80)}, the rules are by {policy.metric}"
        )
        yield result("decision metric", Answer.CANNOT_JUDGE, text)


def _same_rows(report: EvaluationReport, _: GatePolicy) -> Iterator[GateResult]:
    """Challenger and baseline were scored on the holdout. Silent when they were."""
    scored_on = {report.challenger.holdout_digest, report.baseline.holdout_digest}
    if scored_on != {report.holdout.digest}:
        text = "challenger and baseline were not scored on the rows of the holdout"
        yield result("same rows", Answer.CANNOT_JUDGE, text)


def _enough_rows(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    yield held(
        "holdout rows",
        report.holdout.rows,
        policy.min_holdout_rows,
        at_least,
        lambda rows, least, must: f"the holdout has {rows:.0f} rows, {must}at least {least:.0f}",
        otherwise=Answer.CANNOT_JUDGE,
    )


def _no_leak(report: EvaluationReport, _: GatePolicy) -> Iterator[GateResult]:
    yield held(
        "no leak",
        report.holdout.rows_in_training,
        0,
        exactly,
        _leak_words,
        otherwise=Answer.CANNOT_JUDGE,
    )


def _leak_words(rows: float, most: float, must: str) -> str:
    found = f"{rows:.0f} rows of the holdout are in the training data"
    return f"{found}, {must}{most:.0f}" if must else found


def _new_version(report: EvaluationReport, _: GatePolicy) -> Iterator[GateResult]:
    """What serves already is never promoted again. Silent for another version."""
    if report.champion and report.champion.serving.version == report.challenger.version:
        text = f"version {truncate(report.challenger.version, 80)} serves already"
        yield result("new version", Answer.FAIL, text)


def _minimum(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    for metric, least in sorted(policy.minimum.items()):
        yield held(
            f"minimum {metric_name(metric)}",
            report.challenger.metrics.get(metric),
            least,
            at_least,
            partial(at_least_words, metric, metric_name(metric)),
            undefined=undefined_words(report.challenger, metric),
        )


def _against_champion(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    if report.champion is None:
        yield result("against champion", Answer.NOT_JUDGED, "nothing serves yet")
    else:
        yield _against("champion", report.champion, report, policy)


def _against_best(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    """Without this rule, each retraining may lose a margin. Silent when the best serves."""
    if report.best is not None and report.best.serving.version != report.challenger.version:
        yield _against("best of the last ten", report.best, report, policy)


def _against(
    who: str, opponent: Opponent, report: EvaluationReport, policy: GatePolicy
) -> GateResult:
    """Hold the lower end of the paired difference against minus the margin."""
    obstacle = _obstacle(opponent, report, policy)
    pair = _pair(opponent, report, policy)
    if pair is not None and obstacle is None and _contradicts(pair):
        obstacle = "the scores and their difference do not belong together"
    if obstacle is not None or pair is None:
        text = (
            f"the {who} (version {truncate(opponent.serving.version, 80)}) cannot be compared: "
            f"{obstacle or 'a score or their difference is missing or not a number'}"
        )
        return result(f"against {who}", Answer.CANNOT_JUDGE, text)

    def explain(lower: float, limit: float, must: str) -> str:
        ours, theirs = (number(metric_value(policy.metric, s)) for s in (pair.ours, pair.theirs))
        found = (
            f"{metric_name(policy.metric)} is {ours}, the {who}'s {theirs}: "
            f"{signed(pair.difference)}, {level_words(pair.level)} interval {signed(lower)} to "
            f"{signed(pair.upper)}, plus is better{try_words(report.tried)}"
        )
        if not must:
            return found
        is_doubt = better_than(pair.difference, limit)
        doubt = "not enough evidence that it is not worse: " if is_doubt else ""
        never = opponent.comparison and why_never_met(opponent.comparison, margin.value)
        more = f" ({never})" if never else ""
        return f"{doubt}{found}; the lower end must be above {signed(limit)}{more}"

    margin = margin_against(opponent, report, policy)
    return held(f"against {who}", pair.lower, -margin.value, better_than, explain)


class _Pair(NamedTuple):
    """The numbers of a comparison, none of them missing."""

    ours: float
    theirs: float
    difference: float
    lower: float
    upper: float
    level: float


def _pair(opponent: Opponent, report: EvaluationReport, policy: GatePolicy) -> _Pair | None:
    if opponent.scores is None or opponent.comparison is None:
        return None
    between = opponent.comparison
    scores = (report.challenger.metrics, opponent.scores.metrics)
    numbers = [finite(metrics.get(policy.metric)) for metrics in scores]
    found = (between.difference, between.lower, between.upper, between.level)
    numbers += [finite(number) for number in found]
    known = [number for number in numbers if number is not None]
    return _Pair(*known) if len(known) == len(numbers) else None


def _contradicts(pair: _Pair) -> bool:
    """Return whether a comparison is not one of these two scores."""
    scale = max(1.0, abs(pair.ours), abs(pair.theirs))
    gap = abs(pair.difference - (pair.ours - pair.theirs))
    return gap > scale * 1e-9 or pair.lower > pair.upper


def _obstacle(opponent: Opponent, report: EvaluationReport, policy: GatePolicy) -> str | None:
    """Return why an opponent's scores cannot be compared with the challenger's, or None."""
    scores, between = opponent.scores, opponent.comparison
    if opponent.error is not None:
        return truncate(opponent.error, 300)
    undefined = undefined_words(report.challenger, policy.metric) or (
        scores and undefined_words(scores, policy.metric)
    )
    if undefined:
        return undefined
    if scores is None or between is None or opponent.split is None:
        return "it was not scored"
    if {scores.holdout_digest, between.holdout_digest} != {report.holdout.digest}:
        return "it was scored on other rows"
    if between.metric != policy.metric:
        return f"the difference is of {truncate(between.metric, 80)}, not of {policy.metric}"
    return (
        _without_width(between, report)
        or _other_try(between, report)
        or _other_split(opponent.split, report.split)
    )


def _without_width(between: Comparison, report: EvaluationReport) -> str | None:
    """Return why an interval says nothing that holds no doubt at all, or None.

    The bootstrap of earlier reports gave it where both versions agreed on the few rows that count.
    """
    if report.problem == "regression" or between.lower != between.upper:
        return None
    rarest = "" if between.rarest is None else f" ({between.rarest:,} of the rarest class)"
    return f"an interval without width is no evidence{rarest}: a larger holdout is needed"


def _other_try(between: Comparison, report: EvaluationReport) -> str | None:
    """Return why an interval is not the one that this try is held to, or None."""
    tried, generation = report.tried, report.champion and report.champion.serving.generation
    if tried is None:
        number = 1  # from before tries were counted
    elif not 1 <= tried.number <= MAX_TRIES or tried.generation != (generation or 0):
        return "it is not known how many tries there were on these rows"
    else:
        number = tried.number
    level, found = level_of(number), finite(between.level)
    if found is None or found < level - 1e-12:
        return f"the {ordinal(number)} try on these rows is held to a {level_words(level)} interval"
    return None


def _other_split(theirs: SplitUsed, ours: SplitUsed) -> str | None:
    """Return why an opponent may have been trained on rows of this holdout, or None."""
    for field in ("by", "salt", "holdout_fraction", "column", "holdout_days"):
        if getattr(theirs, field) != getattr(ours, field):
            return f"its holdout was chosen by another rule ({field} differs)"
    for field, told in (("key", "key"), ("key_read", "how the key is read")):
        before, now = getattr(theirs, field), getattr(ours, field)
        if None not in {before, now} and before != now:  # a document of before says neither
            return f"its holdout was chosen by another rule ({told} differs)"
    if ours.by == "time":
        if theirs.train_until is None or ours.train_until is None:
            return "it is not known until when it was trained"
        if _aware(theirs.train_until) > _aware(ours.train_until):
            return "it was trained on newer rows, so on rows of this holdout"
    return None


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _limits(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    limits, challenger = policy.limits, report.challenger
    size = None if challenger.model_bytes is None else finite(challenger.model_bytes)
    for gate, unit, value, most in (
        (
            "latency",
            "ms per 1,000 rows",
            challenger.latency_ms_per_1000_rows,
            limits.latency_ms_per_1000_rows,
        ),
        ("model size", "MB", None if size is None else size / 1e6, limits.model_mb),
    ):
        if most is not None:
            yield held(gate, value, most, at_most, partial(_at_most_words, gate, unit))


def _at_most_words(gate: str, unit: str, value: float, limit: float, must: str) -> str:
    shown, most = distinguishable(value, limit)
    return f"{gate} is {shown} {unit}, {must}at most {most}"


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
    _against_champion,
    _against_best,
    judge_slices,
    judge_fairness,
    _limits,
)
