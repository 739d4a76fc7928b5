"""The gate's rules by a champion of now or before: no challenger is worse than a margin allows.

An opponent that cannot be compared is CANNOT JUDGE and never no opponent.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from include.retraining.config.model import GatePolicy
from include.retraining.data.split_record import SplitUsed
from include.retraining.formatting.numbers import metric_name, metric_value, number, signed
from include.retraining.formatting.text import truncate
from include.retraining.gate.identity import OPPONENTS, Gate, Rule
from include.retraining.gate.margin import margin_against, why_never_met
from include.retraining.gate.report import Comparison, EvaluationReport, Opponent, undefined_words
from include.retraining.gate.tries import MAX_TRIES, level_of, level_words, ordinal, try_words
from include.retraining.gate.verdict import (
    Answer,
    GateResult,
    better_than,
    compare,
    finite,
    result,
)


def judge_against_champion(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    """Compare the challenger with the champion; NOT JUDGED while there is none."""
    if report.champion is None:
        gate = Gate(Rule.OPPONENT, ("champion",))
        yield result(gate, Answer.NOT_JUDGED, "nothing serves yet")
    else:
        yield _against("champion", report.champion, report, policy)


def judge_against_best(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    """Without this rule, each retraining may lose a margin. Silent when the best serves."""
    if report.best is not None and report.best.serving.version != report.challenger.version:
        yield _against("best", report.best, report, policy)


def _against(
    which: str, opponent: Opponent, report: EvaluationReport, policy: GatePolicy
) -> GateResult:
    """Compare the lower end of the paired difference with minus the margin."""
    gate, who = Gate(Rule.OPPONENT, (which,)), OPPONENTS[which]
    obstacle = _obstacle(opponent, report, policy)
    pair = _pair(opponent, report, policy)
    if pair is not None and obstacle is None and _contradicts(pair):
        obstacle = "the scores and their difference do not belong together"
    if obstacle is not None or pair is None:
        text = (
            f"the {who} (version {truncate(opponent.serving.version, 80)}) cannot be compared: "
            f"{obstacle or 'a score or their difference is missing or not a number'}"
        )
        return result(gate, Answer.CANNOT_JUDGE, text)

    def explain(lower: float, limit: float, must: str) -> str:
        score, opponent_score = (
            number(metric_value(policy.metric, value)) for value in (pair.challenger, pair.opponent)
        )
        comparison_words = (
            f"{metric_name(policy.metric)} is {score}, the {who}'s {opponent_score}: "
            f"{signed(pair.difference)}, {level_words(pair.level)} interval {signed(lower)} to "
            f"{signed(pair.upper)}, plus is better{try_words(report.tried)}"
        )
        if not must:
            return comparison_words
        is_doubt = better_than(pair.difference, limit)
        doubt = "not enough evidence that it is not worse: " if is_doubt else ""
        never = opponent.comparison and why_never_met(opponent.comparison, margin.value)
        more = f" ({never})" if never else ""
        return f"{doubt}{comparison_words}; the lower end must be above {signed(limit)}{more}"

    margin = margin_against(opponent, report, policy)
    return compare(gate, pair.lower, -margin.value, better_than, explain)


class _Pair(NamedTuple):
    """The numbers of a comparison, none of them missing."""

    challenger: float
    opponent: float
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
    interval = (between.difference, between.lower, between.upper, between.level)
    numbers += [finite(number) for number in interval]
    known = [number for number in numbers if number is not None]
    return _Pair(*known) if len(known) == len(numbers) else None


def _contradicts(pair: _Pair) -> bool:
    """Return whether a comparison is not one of these two scores."""
    scale = max(1.0, abs(pair.challenger), abs(pair.opponent))
    gap = abs(pair.difference - (pair.challenger - pair.opponent))
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
    level, reported = level_of(number), finite(between.level)
    if reported is None or reported < level - 1e-12:
        return f"the {ordinal(number)} try on these rows is held to a {level_words(level)} interval"
    return None


def _other_split(opponent_split: SplitUsed, split: SplitUsed) -> str | None:
    """Return why an opponent may have been trained on rows of this holdout, or None."""
    for field in ("by", "salt", "holdout_fraction", "column", "holdout_days"):
        if getattr(opponent_split, field) != getattr(split, field):
            return f"its holdout was chosen by another rule ({field} differs)"
    for field, words in (("key", "key"), ("key_read", "how the key is read")):
        before, now = getattr(opponent_split, field), getattr(split, field)
        if None not in {before, now} and before != now:  # a document of before says neither
            return f"its holdout was chosen by another rule ({words} differs)"
    if split.by == "time":
        if opponent_split.train_until is None or split.train_until is None:
            return "it is not known until when it was trained"
        if _aware(opponent_split.train_until) > _aware(split.train_until):
            return "it was trained on newer rows, so on rows of this holdout"
    return None


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
