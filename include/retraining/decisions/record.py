"""The terminal record of a run, and the ways in which a run can end."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from include.retraining.approval.answer import Approval
from include.retraining.documents import Document
from include.retraining.fingerprint.pinned import Code, Delivery, Flag, Forgotten
from include.retraining.gate.report import EvaluationReport
from include.retraining.gate.verdict import Verdict
from include.retraining.runs.manifest import Params, Serving, TriggeredBy
from include.retraining.runs.usage import ComputeUsed
from include.retraining.store.seen import Seen


class Outcome(StrEnum):
    """How a run ended."""

    PROMOTED = "promoted"
    REJECTED = "rejected"
    CANNOT_JUDGE = "cannot_judge"
    NO_CHANGE = "no_change"
    DATA_REJECTED = "data_rejected"
    NO_DATA = "no_data"
    DRY_RUN = "dry_run"
    SUPERSEDED = "superseded"
    HELD = "held"
    TOO_SOON = "too_soon"
    APPROVAL_REJECTED = "approval_rejected"
    APPROVAL_EXPIRED = "approval_expired"
    FAILED = "failed"
    CANCELLED = "cancelled"


PROMOTES = "deploy_model"
"""The task that promotes, and that alone can emit the asset event for those who consume."""
READS_CONFIGURATION = "read_configuration"
"""The only task of a model whose YAML cannot be read: it fails, and says why."""

# A decision on the data itself: the same flag does not start another, and the same fingerprint
# under the same policy and champion need not be decided again.
FINISHED = frozenset({
    Outcome.PROMOTED,
    Outcome.REJECTED,
    Outcome.CANNOT_JUDGE,
    Outcome.NO_CHANGE,
    Outcome.DATA_REJECTED,
    Outcome.APPROVAL_REJECTED,
})


class DecisionRecord(Document):
    """One run's terminal record. Written once."""

    format: int = 1
    model: str
    dag_id: str
    run_id: str
    run: str
    """The run's folder name."""
    clear: int
    """0 for the run itself, then one more each time a finished run was cleared."""
    outcome: Outcome
    reason: str
    """One sentence: why the model was or was not updated."""
    decided_at: datetime
    run_after: datetime
    failed_task: str | None = None
    """The task that ended the run, where one did."""
    cause: TriggeredBy
    params: Params | None
    """None when the run ended before they were accepted."""
    flag: Flag | None
    """The flag that the run fired on, for every outcome."""
    delivery: Delivery | None
    code: Code | None
    config_digest: str | None
    policy_digest: str | None
    fingerprint: str | None
    version: str | None
    """The challenger, where there is one."""
    rows: int | None
    compute: dict[str, ComputeUsed] = Field(default_factory=dict)
    """By step, where it ran, what it was given and what it used."""
    verdict: Verdict | None
    report: EvaluationReport | None
    """What the verdict was made from, so that a record explains itself."""
    previous: Serving | None
    """What served before the decision."""
    serving: Serving | None
    """The champion after it."""
    serving_since: datetime | None = None
    """Since when that serves."""
    title: str | None = None
    """The model's title; None when the run ended before it had a manifest."""
    owner: str | None = None
    """The team that answers for it."""
    failure: str | None = None
    """The kind of the first cause, where the run broke: `out_of_memory`, `timeout`, …"""
    forgotten: Forgotten | None = None
    """The keys to forget that the version was trained without, and how many rows that left out."""
    approval: Approval | None = None
    """The answer to a manual approval."""
    after: tuple[Seen, ...] = ()
    """The records that were written last before this one (`chain`)."""
    log_head: Seen | None = None
    """The newest entry of the promotion log when this was written."""
