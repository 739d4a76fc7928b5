"""What a decision is called: the same words in `why`, in messages, and in the Airflow UI."""

from __future__ import annotations

from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.formatting.times import utc_minute

HAPPENED: dict[Outcome, str] = {
    Outcome.PROMOTED: "a new version serves",
    Outcome.REJECTED: "the new version was refused",
    Outcome.CANNOT_JUDGE: "the new version could not be judged",
    Outcome.NO_CHANGE: "nothing had changed",
    Outcome.DATA_REJECTED: "the data was refused",
    Outcome.NO_DATA: "no complete delivery came in time",
    Outcome.DRY_RUN: "it was a dry run",
    Outcome.SUPERSEDED: "something changed under the run",
    Outcome.HELD: "automatic promotion is on hold",
    Outcome.TOO_SOON: "it is too soon after the last promotion",
    Outcome.APPROVAL_REJECTED: "the new version was not approved",
    Outcome.APPROVAL_EXPIRED: "the new version was not approved in time",
    Outcome.FAILED: "the run broke",
    Outcome.CANCELLED: "the run was ended manually",
}
"""What happened, by outcome: the first words of a message."""


def decision_sentence(
    record: DecisionRecord, *, with_reason: bool = True, title: str | None = None
) -> str:
    """Describe what a run decided, without a full stop.

    Args:
        record: the decision.
        with_reason: False where the reason was said already.
        title: what to call the model, where that is not by its name.
    """
    of = f"by the run of {utc_minute(record.run_after)}"
    name = title or record.model
    decided = f"{name} was updated {of}"
    if record.outcome is not Outcome.PROMOTED:
        decided = f"{name} was not updated {of}, {HAPPENED[record.outcome]}"
    return f"{decided}: {record.reason.rstrip('. ')}" if with_reason else decided
