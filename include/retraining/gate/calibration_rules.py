"""The gate's rule that the challenger's probabilities are not shown to be worse than before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from include.retraining.config.model import GatePolicy
from include.retraining.formatting.numbers import number, signed
from include.retraining.gate.identity import Gate, Rule
from include.retraining.gate.report import Calibration, EvaluationReport
from include.retraining.gate.verdict import Answer, GateResult, compare, finite, result

CALIBRATION_GATE = Gate(Rule.CALIBRATION)


def judge_calibration(report: EvaluationReport, policy: GatePolicy) -> Iterator[GateResult]:
    """Compare the challenger's calibration error with the champion's. Silent without such a rule.

    A challenger without probabilities is refused, with a champion or without: it is its own lack.
    """
    if policy.calibration is None:
        return
    measured = report.calibration
    if measured is None:
        yield result(CALIBRATION_GATE, Answer.CANNOT_JUDGE, "calibration was not measured")
        return
    if measured.challenger is None:
        text = "the challenger gives no probabilities, so nothing is known of their calibration"
        yield result(CALIBRATION_GATE, Answer.FAIL, text)
        return
    if report.champion is None:
        yield result(CALIBRATION_GATE, Answer.NOT_JUDGED, "nothing serves yet")
        return
    pair = _pair(measured)
    obstacle = _obstacle(measured, pair, report)
    if obstacle is not None or pair is None:
        text = f"the calibration errors cannot be compared: {obstacle}"
        yield result(CALIBRATION_GATE, Answer.CANNOT_JUDGE, text)
        return
    yield _compared(pair, policy.calibration.max_worse)


class _Pair(NamedTuple):
    """The numbers of a calibration, none of them missing."""

    challenger: float
    champion: float
    excess: float
    lower: float
    upper: float


def _pair(measured: Calibration) -> _Pair | None:
    numbers = (
        measured.challenger,
        measured.champion,
        measured.excess,
        measured.lower,
        measured.upper,
    )
    known = [value for value in map(finite, numbers) if value is not None]
    return _Pair(*known) if len(known) == len(numbers) else None


def _obstacle(measured: Calibration, pair: _Pair | None, report: EvaluationReport) -> str | None:
    """Return why two calibration errors say nothing about each other, or None."""
    if measured.champion is None:
        return "the champion gives no probabilities or could not be scored"
    if measured.holdout_digest != report.holdout.digest:
        return "they were measured on other rows"
    if pair is None or not pair.lower <= pair.excess <= pair.upper:
        return "their numbers are missing or not a number, or do not belong together"
    return None


def _compared(pair: _Pair, max_worse: float) -> GateResult:
    """Refuse an error that is larger by more than the limit, and by more than chance explains."""

    def not_shown_to_be_worse(excess: float, most: float) -> bool:
        return excess <= most or pair.lower <= 0.0

    def explain(excess: float, most: float, must: str) -> str:
        text = (
            f"calibration error is {number(pair.challenger)}, the champion's "
            f"{number(pair.champion)}; the root of their squares' difference is {signed(excess)}, "
            f"95 % interval {signed(pair.lower)} to {signed(pair.upper)}, plus is worse"
        )
        if must:
            return f"{text}; {must}at most {signed(most)}"
        return text if excess <= most else f"{text}, which may be chance"

    return compare(CALIBRATION_GATE, pair.excess, max_worse, not_shown_to_be_worse, explain)
