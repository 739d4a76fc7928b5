"""What the gate answers, and the one place where it compares numbers."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from enum import StrEnum

from include.retraining.documents import Document


class Answer(StrEnum):
    """What a gate can say."""

    PASS = "pass"  # noqa: S105 not a password
    FAIL = "fail"
    CANNOT_JUDGE = "cannot_judge"
    NOT_JUDGED = "not_judged"
    """Of a single gate only: too few rows in a group, or nothing to compare with."""


def is_against_champion(gate: str) -> bool:
    """Return whether a gate, by its name, compares with a champion of now or before."""
    return gate.startswith("against ") or gate.endswith(" against champion")


REFUSALS = frozenset({Answer.FAIL, Answer.CANNOT_JUDGE})


class GateResult(Document):
    """One rule's answer."""

    gate: str
    """For example `minimum accuracy`, `better than baseline`, `fairness race`."""
    answer: Answer
    value: float | None
    """What was measured."""
    limit: float | None
    """What it was held against."""
    reason: str
    """A sentence for a person."""


class Verdict(Document):
    """The gate's answer to the whole report."""

    answer: Answer
    headline: str
    """One sentence: the first reason for a no, or what was beaten for a yes."""
    gates: tuple[GateResult, ...]
    run_id: str
    fingerprint: str
    report_digest: str
    """SHA-256 of the stored report that was judged."""
    policy_digest: str
    judged_against: int
    """The generation of the champion in the report; 0 when nothing served."""

    @property
    def passed(self) -> bool:
        """Whether the challenger may be promoted."""
        return self.answer is Answer.PASS

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it may not, in the order of the gates."""
        return tuple(gate.reason for gate in self.gates if gate.answer in REFUSALS)


# The rules' words for comparing. Each is written once, and none has a tolerance.
at_least = operator.ge
better_than = operator.gt
at_most = operator.le
exactly = operator.eq


def finite(value: float | None) -> float | None:
    """Return a number that can be compared, or None for what is missing, NaN or infinite."""
    try:
        return float(value) if value is not None and math.isfinite(value) else None
    except OverflowError:
        return None


def held(
    gate: str,
    value: float | None,
    limit: float | None,
    holds: Callable[[float, float], bool],
    explain: Callable[[float, float, str], str],
    *,
    otherwise: Answer = Answer.FAIL,
    undefined: str | None = None,
) -> GateResult:
    """Hold a value against a limit.

    Args:
        gate: the rule's name.
        value: what was measured.
        limit: what it is held against.
        holds: `at_least`, `better_than`, `at_most` or `exactly`.
        explain: makes the sentence from value, limit, and `must be ` or nothing.
        otherwise: the answer when it does not hold.
        undefined: why there is no value, where that is known.

    Returns:
        PASS, ``otherwise``, or CANNOT_JUDGE when a number is missing, NaN or infinite.
    """
    value, limit = finite(value), finite(limit)
    if value is None or limit is None:
        what = "what was measured" if value is None else "what to hold it against"
        reason = undefined or f"{what} is missing or not a number"
        return result(gate, Answer.CANNOT_JUDGE, reason, value, limit)
    is_held = holds(value, limit)
    answer = Answer.PASS if is_held else otherwise
    return result(gate, answer, explain(value, limit, "" if is_held else "must be "), value, limit)


def result(
    gate: str, answer: Answer, reason: str, value: float | None = None, limit: float | None = None
) -> GateResult:
    """Return a rule's answer that needs no comparison."""
    return GateResult(
        gate=gate, answer=answer, value=finite(value), limit=finite(limit), reason=reason
    )
