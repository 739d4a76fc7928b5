"""The decision metric, slices and fairness over time, according to the decisions. Pure.

Values are as they are shown: an error is positive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from include.retraining.decisions.record import DecisionRecord
from include.retraining.formatting.numbers import metric_value
from include.retraining.gate.identity import Gate, Rule
from include.retraining.gate.report import EvaluationReport
from include.retraining.gate.verdict import Verdict


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
    """What the challenger's own score had to reach: the minimum, or the naive baseline's score."""


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
    return [
        Series(
            name=f"{item.column} = {item.value}",
            values=tuple(_slice(record.report, item.column, item.value) for record in records),
            # That of one with too few rows is the number of rows.
            limit=_limit(
                records[-1].verdict,
                Gate(Rule.SLICE_MINIMUM, (item.column, item.value)),
                newest.metric,
            )
            if item.is_judged
            else None,
            is_judged=item.is_judged,
            rows=item.rows,
        )
        for item in newest.slices
    ]


def fairness(records: Sequence[DecisionRecord]) -> list[Series]:
    """Return disparate impact and equalised odds by attribute, over all judged runs."""
    newest = records[-1] if records else None
    if newest is None or newest.report is None:
        return []
    series = []
    for item in newest.report.fairness:
        for field, word, rule in (
            ("disparate_impact", "disparate impact", Rule.DISPARATE_IMPACT),
            (
                "equalized_odds_difference",
                "equalised odds, difference",
                Rule.EQUALIZED_ODDS,
            ),
        ):
            values = tuple(_fairness(record.report, item.attribute, field) for record in records)
            limit = _limit(newest.verdict, Gate(rule, (item.attribute,)), "")
            if any(value is not None for value in values):
                name = f"{item.attribute}: {word}"
                series.append(Series(name, values, limit, is_judged=values[-1] is not None))
    return series


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
    return Point(
        record=record,
        challenger=_shown(metric, challenger),
        champion=_shown(metric, champion),
        lower=ends[0] if ends else None,
        upper=ends[1] if ends else None,
        limit=_least(record.verdict, metric),
    )


def _least(verdict: Verdict | None, metric: str) -> float | None:
    """Return the highest score that a gate asked of the challenger's own."""
    asked = (Gate(Rule.MINIMUM, (metric,)), Gate(Rule.BASELINE))
    limits = [limit for gate in asked if (limit := _limit_of(verdict, gate)) is not None]
    return _shown(metric, max(limits)) if limits else None


def _limit(verdict: Verdict | None, gate: Gate, metric: str) -> float | None:
    return _shown(metric, _limit_of(verdict, gate))


def _limit_of(verdict: Verdict | None, gate: Gate) -> float | None:
    results = verdict.gates if verdict else ()
    return next((one.limit for one in results if (one.rule, one.subject) == gate), None)


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
