"""The quality gate: one pure function from a report and a policy to a verdict."""

from __future__ import annotations

from enum import StrEnum

from include.retraining.documents import Document


class Answer(StrEnum):
    """What a gate can say."""

    PASS = "pass"  # noqa: S105 not a password
    FAIL = "fail"
    CANNOT_JUDGE = "cannot_judge"


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
        return tuple(gate.reason for gate in self.gates if gate.answer is not Answer.PASS)
