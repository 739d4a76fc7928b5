"""The run manifest: everything a run pinned before anything heavy starts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

from pydantic import Field

from include.retraining.documents import Document
from include.retraining.exceptions import EvidenceError, NotFound
from include.retraining.fingerprint.fingerprint import version_of
from include.retraining.fingerprint.pinned import Code, Delivery, ForgetList
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store


class Params(Document):
    """The parameters of one run, resolved."""

    dry_run: bool = False
    force_retrain: bool = False
    date: date
    """The date of the data."""
    reason: str | None = None


class TriggeredBy(Document):
    """Who or what started the run."""

    run_type: str
    """Airflow's type of the run: `scheduled`, `manual`, `backfill`, `asset_triggered`, …"""
    user: str | None = None
    """The user who triggered it, None for a scheduled run."""


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
    """The plan's folder name (`layout.run_key`, with `.2` … when the run was planned again)."""
    run_after: datetime
    created_at: datetime
    params: Params
    cause: TriggeredBy
    delivery: Delivery
    code: Code
    config: dict[str, Any]
    """The model's whole configuration, as resolved (`ModelConfig`)."""
    config_digest: str
    policy_digest: str
    compute: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """By step, where it runs and what it may use for this delivery. Recorded, not part of the
    fingerprint; a job that was planned and not yet started follows the model's YAML as it is."""
    last_peak_memory_bytes: dict[str, int] = Field(default_factory=dict)
    """By step, what the last run that got so far really used."""
    seed: int
    fingerprint: str
    """SHA-256 of all that can change the model."""
    version: str
    """Names the version: the fingerprint's first 16 hex digits."""
    champion: Serving | None
    """What served when the run was planned; None before the first promotion."""
    forget: ForgetList | None = None
    """The keys whose rows are left out; None where nobody asked for any to be forgotten."""

    @property
    def total_bytes(self) -> int:
        """The size of all that the run reads."""
        return self.delivery.total_bytes


def find_manifest(store: Store, paths: RunPaths) -> RunManifest | None:
    """Return a plan's manifest, or None when there is none.

    Raises:
        EvidenceError: when it is unreadable or of another run.
    """
    data = store.read_if_present(paths.manifest)
    if data is None:
        return None
    manifest = RunManifest.from_bytes(data, where=paths.manifest)
    if (manifest.model, manifest.run) != (paths.model, paths.run):
        raise EvidenceError(f"{paths.manifest}: belongs to {manifest.model}/{manifest.run}")
    if manifest.version != version_of(manifest.fingerprint):
        raise EvidenceError(f"{paths.manifest}: its version does not follow from its fingerprint")
    return manifest


def read_manifest(store: Store, paths: RunPaths) -> RunManifest:
    """Return a plan's manifest.

    Raises:
        NotFound: when the run was never planned.
        EvidenceError: when it is unreadable or of another run.
    """
    manifest = find_manifest(store, paths)
    if manifest is None:
        raise NotFound(f"{store.uri}/{paths.folder}: no such run, or it was never planned")
    return manifest


def current_plan(store: Store, paths: RunPaths) -> RunPaths:
    """Return the keys of a run's newest plan; of its first when it was never planned."""
    newest = replace(paths, run=paths.first_plan)
    while store.exists(newest.next_plan().manifest):
        newest = newest.next_plan()
    return newest
