"""Entries of the promotion log."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from include.retraining.documents import Document
from include.retraining.gate.report import JudgedScore


class PromotionKind(StrEnum):
    """How a version came to serve."""

    PROMOTION = "promotion"
    ROLLBACK = "rollback"
    """By a person. It holds automatic promotion until a release."""
    RELEASE = "release"
    """By a person: the same version serves on, and automatic promotion goes on."""
    UNJUDGED = "unjudged_champion"
    """By a person, because the champion could no longer be scored. History starts anew here."""


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
    """Tells this attempt from any other, so that a lost response can be settled."""
    judged_against: int
    """The generation that the verdict compared with."""
    verdict_digest: str | None
    """SHA-256 of the stored verdict; None for an entry made by hand."""
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
    """Which clear of that run promoted it; None for an entry made by hand."""
    actor: str
    """A person, or the DAG."""
    reason: str
    request: str | None = None
    """What a person asked it with, `DAG_ID/RUN_ID`, so that asking again finds it; None for a run's
    own and for one made on the command line."""
    is_held: bool = False
    """Whether no run may promote behind this entry: a person rolled back and has to release."""
    created_at: datetime
