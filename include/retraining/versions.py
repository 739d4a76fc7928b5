"""Model versions: immutable, named by their fingerprint, verified before they are loaded."""

from __future__ import annotations

from datetime import datetime

from include.retraining.documents import Document
from include.retraining.manifest import Code, PinnedFile


class SplitUsed(Document):
    """How the holdout of a version's data was chosen; two versions compare only if these agree."""

    by: str
    """`key` or `time`."""
    holdout_fraction: float | None = None
    salt: str | None = None
    column: str | None = None
    holdout_days: float | None = None
    train_until: datetime | None = None
    """For a split by time, the newest row that was trained on."""


class Library(Document):
    """One library's version at training time."""

    name: str
    version: str


class VersionManifest(Document):
    """Names the files of one version with their digests. Put if absent, last."""

    format: int = 1
    model: str
    version: str
    fingerprint: str
    run_id: str
    attempt: str
    """The folder below the version's that holds the files."""
    created_at: datetime
    files: tuple[PinnedFile, ...]
    """Names relative to the attempt's folder; `model.skops` is one of them."""
    problem: str
    features: tuple[str, ...]
    """The columns the model reads, in order."""
    classes: tuple[int | str, ...] | None
    """For a classifier, its classes in the order of its probabilities."""
    split: SplitUsed
    seed: int
    code: Code
    data: tuple[PinnedFile, ...]
    data_date: str
    """ISO date of the data."""
    train_rows: int
    train_seconds: float
    peak_memory_bytes: int
    model_bytes: int
    libraries: tuple[Library, ...]
    trusted_types: tuple[str, ...]
    """Reviewed types beyond skops' own list that loading needs."""
