"""The run manifest: everything a run pinned before anything heavy starts."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import Field

from include.retraining.documents import Document, canonical_json, sha256_of
from include.retraining.exceptions import EvidenceError, NotFound
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store


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
    """SHA-256 of the lock of what jobs install."""
    python: str
    """The minor version that trains, for example `3.12`."""
    git_sha: str | None = None
    """The commit, where the bundle or the image knows it. Recorded, not part of the fingerprint."""
    image: str | None = None
    """The image, where jobs run in one. Recorded, not part of the fingerprint."""
    wiring_digest: str | None = None
    """SHA-256 over `dags/` and `include/orchestration/`, which a promotion compares. Not part of
    the fingerprint; None without them, and in what was planned before it was recorded."""
    training_digest: str | None = None
    """SHA-256 over all that can change the model, as `code.py` describes: the fingerprint's. None
    in what was planned before it was recorded."""
    judging_digest: str | None = None
    """SHA-256 over what checks the data, scores and judges: with another one a version is judged
    again and not trained again. None as above."""


# Of the code, what cannot change a model, or is in the training's digest too.
RECORDED_ONLY = frozenset({
    "core_digest",
    "model_digest",
    "lock_digest",
    "git_sha",
    "image",
    "wiring_digest",
    "judging_digest",
})


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


def fingerprint_of(
    *,
    delivery: Delivery,
    code: Code,
    training_view: dict[str, Any],
    seed: int,
    only_run: str | None,
) -> str:
    """Return the SHA-256 of everything that can change the trained model.

    Args:
        delivery: the names and content of its files count, not its location or its flag.
        code: its training digest and the Python version count.
        training_view: `ModelConfig.training_view`.
        seed: of everything random.
        only_run: the run's id when it must train even if nothing changed, else None.
    """
    content = {
        "files": [file.model_dump(mode="json") for file in delivery.files],
        "code": code.training_digest,
        "python": code.python,
        "training": training_view,
        "seed": seed,
        "run": only_run,
    }
    return sha256_of(canonical_json(content))


def version_of(fingerprint: str) -> str:
    """Return the name of the version that a fingerprint leads to."""
    return fingerprint[:16]


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
    newest = RunPaths(paths.model, paths.first_plan)
    while store.exists(newest.next_plan().manifest):
        newest = newest.next_plan()
    return newest
