"""What a run's jobs ran on and what they used, beside what they were given."""

from __future__ import annotations

from typing import Any

from include.retraining.config.step_names import STEPS, Step
from include.retraining.documents import Document
from include.retraining.exceptions import EvidenceError
from include.retraining.runs.claims import JobClaims
from include.retraining.runs.manifest import RunManifest
from include.retraining.runs.results import AnyResult, TrainResult, find_result
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store


class ComputeUsed(Document):
    """One step's job: where it ran, what it was given, what it used."""

    backend: str
    image: str | None = None
    cpu: float | None = None
    """CPUs; None for all of the worker's."""
    memory: str | None = None
    """For example `4096MiB`; None for no limit."""
    gpu: int = 0
    jobs: int = 0
    """How many jobs were claimed for the step elsewhere; 0 for a local one."""
    seconds: float | None = None
    """Wall time of the step's work; None when it left no result."""
    peak_memory_bytes: int | None = None
    """None when it left no result, and of a training that adopted the version that was there."""


def compute_used(store: Store, paths: RunPaths, manifest: RunManifest) -> dict[str, ComputeUsed]:
    """Return, by step, what the jobs of a plan ran on and used; what is unreadable is left out."""
    try:
        claims = JobClaims(store, paths, manifest).claims()
    except EvidenceError:
        claims = []
    used: dict[str, ComputeUsed] = {}
    for step in STEPS:
        step_claims = [claim for claim in claims if step in claim.steps]
        given = step_claims[-1].compute if step_claims else manifest.compute.get(step)
        if given is not None:
            result = _result(store, paths, manifest, step)
            used[step] = _used(given, len(step_claims), result)
    return used


def _used(given: dict[str, Any], jobs: int, result: AnyResult | None) -> ComputeUsed:
    # A version that was there already is no measure of what training it takes.
    is_measure = result is not None and not (isinstance(result, TrainResult) and result.adopted)
    return ComputeUsed(
        backend=given["backend"],
        image=given.get("image"),
        cpu=given["cpu"],
        memory=given["memory"],
        gpu=given.get("gpu", 0),
        jobs=jobs,
        seconds=None if result is None else result.cost.seconds,
        peak_memory_bytes=result.cost.peak_memory_bytes if result and is_measure else None,
    )


def _result(store: Store, paths: RunPaths, manifest: RunManifest, step: Step) -> AnyResult | None:
    try:
        return find_result(store, paths, manifest, step)
    except EvidenceError:
        return None
