"""The run manifest: everything a run pinned before anything heavy starts."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from include.retraining.documents import Document


class PinnedFile(Document):
    """One data file of a delivery."""

    name: str
    """The name relative to the delivery's folder."""
    size: int
    """Bytes."""
    sha256: str
    """Of the content, in hex."""


class Flag(Document):
    """The flag that a run fired on."""

    uri: str
    """Its address."""
    identity: str
    """Changes whenever the flag is written again: mtime and size, or the ETag."""
    is_consumable: bool
    """True for a fixed path: the decision consumes this identity. A dated path is not consumed."""


class Delivery(Document):
    """One complete, pinned delivery."""

    location: str
    """The address of its folder."""
    flag: Flag
    files: tuple[PinnedFile, ...]
    """Sorted by name."""

    @property
    def total_bytes(self) -> int:
        """The size of all files."""
        return sum(file.size for file in self.files)


class Code(Document):
    """The code that a run uses."""

    core_digest: str
    """SHA-256 over `include/retraining/`."""
    model_digest: str
    """SHA-256 of the model's own Python file."""
    lock_digest: str
    """SHA-256 of the training lock."""
    python: str
    """The minor version, for example `3.12`."""
    git_sha: str | None = None
    """The commit, where the bundle or the image knows it. Recorded, not part of the fingerprint."""
    image: str | None = None
    """The image, where jobs run in one. Recorded, not part of the fingerprint."""


class Params(Document):
    """What a person may choose for one run, resolved."""

    dry_run: bool = False
    force_retrain: bool = False
    date: date
    """The date of the data."""
    reason: str | None = None


class Cause(Document):
    """Who or what started the run."""

    run_type: str
    """Airflow's word: `scheduled`, `manual`, `backfill`, `asset_triggered`, …"""
    user: str | None = None
    """Who triggered it, where a person did."""


class Serving(Document):
    """Which version serves."""

    version: str
    generation: int


class RunManifest(Document):
    """Everything needed to repeat a run. Written once, first, and never edited."""

    format: int = 1
    model: str
    dag_id: str
    run_id: str
    """Airflow's id of the run."""
    run: str
    """The run's folder name (`layout.run_key`)."""
    run_after: datetime
    created_at: datetime
    params: Params
    cause: Cause
    delivery: Delivery
    code: Code
    config: dict[str, Any]
    """The model's whole configuration, as resolved (`ModelConfig`)."""
    config_digest: str
    policy_digest: str
    seed: int
    fingerprint: str
    """SHA-256 of all that can change the model."""
    version: str
    """Names the version: the fingerprint's first 16 hex digits."""
    champion: Serving | None
    """What served when the run was planned; None before the first promotion."""
