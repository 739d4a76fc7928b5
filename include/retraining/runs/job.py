"""What every step is given: its run's store and plan, and what the job has used so far."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from typing import Protocol

from pydantic import ValidationError

from include.retraining.config.model import ModelConfig
from include.retraining.exceptions import EvidenceError
from include.retraining.fingerprint.digests import check_same_code
from include.retraining.runs.manifest import RunManifest, read_manifest
from include.retraining.runs.planned import Planned
from include.retraining.runs.process import (
    peak_memory_bytes,
    peak_memory_of_children_bytes,
    process_started,
)
from include.retraining.runs.results import Cost
from include.retraining.store.layout import RunPaths
from include.retraining.store.marker import open_store
from include.retraining.store.object_store import Store

ATTEMPT_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"


@dataclass(frozen=True)
class Job:
    """One attempt at one step of a run."""

    store: Store
    paths: RunPaths
    manifest: RunManifest
    config: ModelConfig
    """Parsed from the manifest: what the run was planned with."""
    attempt: str
    """Identifies this attempt; safe as the name of a folder."""
    started: float
    """When the process started, in seconds since 1970."""


def open_job(run_uri: str, attempt: str, *, started: float | None = None) -> Job:
    """Open the store and the plan that a job was started for.

    Args:
        run_uri: the address of the run's folder.
        attempt: a unique id for each attempt.
        started: when the step began, in seconds since 1970; when the process did, if not given.

    Raises:
        CodeChanged: when this code cannot even read the plan's configuration.
        ConfigError: for an address that is not a run's.
        EvidenceError: for an attempt id with other characters than letters, digits and `_.-`.
        NotFound: when the run was never planned.
        StorageError: when the store refuses, does not answer or was never initialised.
    """
    check_attempt(attempt)
    store_uri, paths = RunPaths.from_uri(run_uri)
    store = open_store(store_uri)
    manifest = read_manifest(store, paths)
    config = planned_config(manifest)
    started = process_started() if started is None else started
    return Job(store, paths, manifest, config, attempt_folder(attempt), started)


def check_attempt(attempt: str) -> None:
    """Refuse an attempt id that cannot be the name of a folder.

    Raises:
        EvidenceError: for other characters than letters, digits and `_.-`.
    """
    if not re.fullmatch(ATTEMPT_PATTERN, attempt):
        raise EvidenceError(f"--attempt {attempt[:80]!r}: allowed are letters, digits and '_.-'")


def planned_config(plan: Planned) -> ModelConfig:
    """Return the configuration that a run was planned with.

    Raises:
        CodeChanged: when this code is another one and cannot read it.
    """
    try:
        return ModelConfig.model_validate(plan.config)
    except ValidationError:
        check_same_code(plan.code, plan.model)
        raise


def attempt_folder(attempt: str) -> str:
    """Return the attempt id with the number of the platform's own try, where it retries.

    AWS Batch restarts a job whose host was lost; its files must not mix with those of the lost one.
    """
    again = int(os.environ.get("AWS_BATCH_JOB_ATTEMPT", "1"))
    return attempt if again == 1 else f"{attempt}-{again}"


class Started(Protocol):
    """A job of a retraining or of a scoring."""

    @property
    def started(self) -> float:
        """When the process started, in seconds since 1970."""


def cost(job: Started, *, with_commands: bool = False) -> Cost:
    """Return what the job has used so far: wall time since its process started, peak memory.

    Args:
        job: the job.
        with_commands: whether the peak is that of the commands it ran, if that is greater.
    """
    peak = peak_memory_bytes()
    if with_commands:
        peak = max(peak, peak_memory_of_children_bytes())
    return Cost(seconds=round(time.time() - job.started, 3), peak_memory_bytes=peak)
