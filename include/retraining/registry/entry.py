"""Entries of the promotion log."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from include.retraining.documents import Document
from include.retraining.gate.report import JudgedScore


class PromotionKind(StrEnum):
    """How a version became the champion."""

    PROMOTION = "promotion"
    ROLLBACK = "rollback"
    """By a user. It holds automatic promotion until a release."""
    RELEASE = "release"
    """By a user: the champion is unchanged, and automatic promotion resumes."""
    UNJUDGED = "unjudged_champion"
    """By a user, because the champion could no longer be scored. History starts over here."""


class PromotionEntry(Document):
    """One entry: from here on, this version serves."""

    format: int = 1
    model: str
    generation: int
    kind: PromotionKind
    version: str
    version_digest: str
    """SHA-256 of the version's manifest."""
    previous_sha256: str | None
    """SHA-256 of the entry before; None for the first."""
    nonce: str
    """Identifies this write, so that its outcome is known after a lost response."""
    judged_against: int
    """The generation that the verdict compared with."""
    verdict_digest: str | None
    """SHA-256 of the stored verdict; None for a manual entry."""
    metric: str | None
    value: float | None
    """The decision metric on the holdout of its own run."""
    judged: JudgedScore | None = None
    """That score with its error; None for a version that was promoted unjudged, or before this
    was kept."""
    data_date: str
    """ISO date of the data that the version was trained on."""
    run_id: str | None
    clear: int | None = None
    """Which clear of that run promoted it; None for a manual entry."""
    actor: str
    """A user, or the DAG."""
    reason: str
    request: str | None = None
    """The request that made it, `DAG_ID/RUN_ID`, so that a repeated request finds it; None for an
    entry by a run or by the command line."""
    is_held: bool = False
    """Whether no run may promote after this entry: a rollback holds until it is released."""
    created_at: datetime
