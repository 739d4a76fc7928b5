"""What the gate answers, and the one place where it compares numbers."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from include.retraining.documents import Document
from include.retraining.gate.identity import Gate, Rule
from include.retraining.gate.old_titles import gate_of


class Answer(StrEnum):
    """The answer of a gate."""

    PASS = "pass"  # noqa: S105 not a password
    FAIL = "fail"
    CANNOT_JUDGE = "cannot_judge"
    NOT_JUDGED = "not_judged"
    """Of a single gate only: too few rows in a group, or nothing to compare with."""


REFUSALS = frozenset({Answer.FAIL, Answer.CANNOT_JUDGE})


def _gate_of_title(read: dict[str, Any]) -> Gate:
    """Return which gate a stored result is of that names only its title."""
    return gate_of(
        read["gate"],
        is_refused_with_limit=read["answer"] is Answer.CANNOT_JUDGE and read["limit"] is not None,
        is_judged=read["answer"] is not Answer.NOT_JUDGED,
    )


class GateResult(Document):
    """One rule's answer."""

    gate: str
    """The gate's title, for display: `minimum accuracy`, `better than baseline`."""
    answer: Answer
    value: float | None
    """What was measured."""
    limit: float | None
    """What it was compared with."""
    reason: str
    """A sentence for the reader."""
    rule: Rule = Field(default_factory=lambda read: _gate_of_title(read).rule)
    """Which rule it is. Concluded from the title in a document from before it was kept."""
    subject: tuple[str, ...] = Field(default_factory=lambda read: _gate_of_title(read).subject)
    """What was judged, as `Rule` says: a metric, an opponent, a column and a value, an attribute;
    whole, where the title may be cut."""

    @model_serializer(mode="wrap")
    def _as_it_was_read(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write a result from before rules were kept as it was: others hold the digest of it."""
        return {name: value for name, value in dump(self).items() if name in self.model_fields_set}


class Verdict(Document):
    """The gate's answer to the whole report."""

    answer: Answer
    headline: str
    """One sentence: the first reason for a failure, or what was beaten for a pass."""
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


def compare(
    gate: Gate,
    value: float | None,
    limit: float | None,
    holds: Callable[[float, float], bool],
    explain: Callable[[float, float, str], str],
    *,
    otherwise: Answer = Answer.FAIL,
    undefined: str | None = None,
) -> GateResult:
    """Compare a value with a limit.

    Args:
        gate: which rule, and what it judges.
        value: what was measured.
        limit: what it is compared with.
        holds: `at_least`, `better_than`, `at_most` or `exactly`.
        explain: makes the sentence from value, limit, and `must be ` or nothing.
        otherwise: the answer when it does not hold.
        undefined: why there is no value, where that is known.

    Returns:
        PASS, ``otherwise``, or CANNOT_JUDGE when a number is missing, NaN or infinite.
    """
    value, limit = finite(value), finite(limit)
    if value is None or limit is None:
        what = "what was measured" if value is None else "what to compare it with"
        reason = undefined or f"{what} is missing or not a number"
        return result(gate, Answer.CANNOT_JUDGE, reason, value, limit)
    is_held = holds(value, limit)
    answer = Answer.PASS if is_held else otherwise
    return result(gate, answer, explain(value, limit, "" if is_held else "must be "), value, limit)


def result(
    gate: Gate, answer: Answer, reason: str, value: float | None = None, limit: float | None = None
) -> GateResult:
    """Return a rule's answer that needs no comparison."""
    return GateResult(
        gate=gate.title,
        answer=answer,
        value=finite(value),
        limit=finite(limit),
        reason=reason,
        rule=gate.rule,
        subject=gate.subject,
    )
