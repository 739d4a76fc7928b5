"""The decision metric, slices and fairness over time, according to the decisions. Pure.

Values are as they are shown: an error is positive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from include.retraining.decisions.record import DecisionRecord
from include.retraining.formatting.numbers import metric_value
from include.retraining.gate.identity import Rule
from include.retraining.gate.report import EvaluationReport, SliceScores
from include.retraining.gate.shown_numbers import shown_numbers
from include.retraining.gate.verdict import Answer, GateResult, Verdict


@dataclass(frozen=True)
class Point:
    """The decision metric of one run."""

    record: DecisionRecord
    challenger: float | None
    champion: float | None
    """Of what served then, on the same rows; None when nothing did."""
    lower: float | None
    upper: float | None
    """Where the challenger lies with 95 %: the champion's score and the interval of the paired
    difference. None without a champion."""
    limit: float | None
    """What the challenger's own score had to reach: the stricter of the two below."""
    limit_name: str = ""
    """Which it is: `minimum`, or `baseline` for the naive baseline's score."""


@dataclass(frozen=True)
class Series:
    """One slice, or one number of fairness, over time."""

    name: str
    values: tuple[float | None, ...]
    """Oldest first; None where a run did not judge it."""
    limit: float | None
    """The newest limit that it was held to."""
    is_judged: bool
    """Whether the newest run had enough rows for it."""
    limit_words: str = ""
    """What kind of a limit it is."""
    answer: Answer | None = None
    """What the gate answered in the newest run, the worst of its answers; None without a rule."""
    rows: int | None = None
    """How many rows the newest run had, where that is one number."""

    @property
    def newest(self) -> float | None:
        """The last value that there is."""
        return next((value for value in reversed(self.values) if value is not None), None)


def judged(records: Iterable[DecisionRecord]) -> list[DecisionRecord]:
    """Return the records that hold an evaluation by the newest one's metric, oldest first."""
    evaluated = [record for record in records if record.report is not None]
    metric = next((record.report.metric for record in evaluated if record.report), None)
    return [
        record for record in reversed(evaluated) if record.report and record.report.metric == metric
    ]


def points(records: Sequence[DecisionRecord]) -> list[Point]:
    """Return the decision metric of each judged run."""
    return [_point(record, record.report) for record in records if record.report is not None]


def slices(records: Sequence[DecisionRecord]) -> list[Series]:
    """Return each slice that the newest judged run had, over all of them."""
    newest = records[-1].report if records else None
    if newest is None:
        return []
    return [_slice_series(records, item, newest.metric) for item in newest.slices]


def fairness(records: Sequence[DecisionRecord]) -> list[Series]:
    """Return disparate impact and equalised odds by attribute, over all judged runs."""
    newest = records[-1] if records else None
    if newest is None or newest.report is None:
        return []
    series = []
    for item in newest.report.fairness:
        for field, word, rule, bound in _FAIRNESS:
            values = tuple(_fairness(record.report, item.attribute, field) for record in records)
            gates = _gates(newest.verdict, rule, (item.attribute,))
            if any(value is not None for value in values):
                series.append(
                    Series(
                        name=f"{item.attribute}: {word}",
                        values=values,
                        limit=gates[0].limit if gates else None,
                        is_judged=values[-1] is not None,
                        limit_words=bound,
                        answer=_worst(gates),
                    )
                )
    return series


_FAIRNESS = (
    ("disparate_impact", "disparate impact", Rule.DISPARATE_IMPACT, "at least"),
    (
        "equalized_odds_difference",
        "equalised odds, difference",
        Rule.EQUALIZED_ODDS,
        "at most",
    ),
)
_OF_A_SLICE = (
    (Rule.SLICE_MINIMUM, "minimum"),
    (Rule.SLICE_DROP, "by the champion"),
)
"""The rules that hold a slice's score to a limit, and what that is called."""


def _slice_series(records: Sequence[DecisionRecord], item: SliceScores, metric: str) -> Series:
    verdict, subject = records[-1].verdict, (item.column, item.value)
    limit, words = None, ""
    for rule, called in reversed(_OF_A_SLICE):
        for gate in _gates(verdict, rule, subject):
            if gate.limit is not None:
                limit, words = shown_numbers(gate, metric).limit, called
    return Series(
        name=f"{item.column} = {item.value}",
        values=tuple(_slice(record.report, item.column, item.value) for record in records),
        # That of one with too few rows is the number of rows.
        limit=limit if item.is_judged else None,
        is_judged=item.is_judged,
        limit_words=words,
        answer=_worst([gate for rule, _ in _OF_A_SLICE for gate in _gates(verdict, rule, subject)]),
        rows=item.rows,
    )


def _point(record: DecisionRecord, report: EvaluationReport) -> Point:
    metric = report.metric
    challenger = report.challenger.metrics.get(metric)
    opponent = report.champion
    champion = opponent.scores.metrics.get(metric) if opponent and opponent.scores else None
    ends: list[float] = []
    if opponent and opponent.comparison and champion is not None:
        between = opponent.comparison
        ends = sorted(
            metric_value(metric, champion + end) for end in (between.lower, between.upper)
        )
    limit, limit_name = _stricter(record.verdict, metric)
    return Point(
        record=record,
        challenger=_shown(metric, challenger),
        champion=_shown(metric, champion),
        lower=ends[0] if ends else None,
        upper=ends[1] if ends else None,
        limit=_shown(metric, limit),
        limit_name=limit_name,
    )


def _stricter(verdict: Verdict | None, metric: str) -> tuple[float | None, str]:
    """Return the highest score that a gate asked of the challenger's own, and whose it is."""
    asked = ((Rule.MINIMUM, (metric,), "minimum"), (Rule.BASELINE, (), "baseline"))
    limits = [
        (gate.limit, name)
        for rule, subject, name in asked
        for gate in _gates(verdict, rule, subject)
        if gate.limit is not None
    ]
    return max(limits) if limits else (None, "")


def _gates(verdict: Verdict | None, rule: Rule, subject: tuple[str, ...]) -> list[GateResult]:
    results = verdict.gates if verdict else ()
    return [one for one in results if (one.rule, one.subject) == (rule, subject)]


def _worst(gates: Sequence[GateResult]) -> Answer | None:
    answers = {gate.answer for gate in gates}
    return next((answer for answer in _WORST_FIRST if answer in answers), None)


_WORST_FIRST = (Answer.CANNOT_JUDGE, Answer.FAIL, Answer.NOT_JUDGED, Answer.PASS)


def _slice(report: EvaluationReport | None, column: str, value: str) -> float | None:
    for item in report.slices if report else ():
        if (item.column, item.value) == (column, value):
            return _shown(report.metric if report else "", item.challenger)
    return None


def _fairness(report: EvaluationReport | None, attribute: str, field: str) -> float | None:
    for item in report.fairness if report else ():
        if item.attribute == attribute:
            value: float | None = getattr(item, field)
            return value
    return None


def _shown(metric: str, value: float | None) -> float | None:
    return None if value is None else metric_value(metric, value)
