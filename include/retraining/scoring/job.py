"""What the step `score` is given: its run's store and plan."""

from __future__ import annotations

from dataclasses import dataclass

from include.retraining.config.model import ModelConfig
from include.retraining.exceptions import EvidenceError
from include.retraining.runs.job import attempt_folder, check_attempt, planned_config
from include.retraining.runs.process import process_started
from include.retraining.scoring.plan import ScorePlan, read_plan
from include.retraining.store.layout import RunPaths
from include.retraining.store.marker import open_store
from include.retraining.store.object_store import Store


@dataclass(frozen=True)
class ScoreJob:
    """One attempt at scoring."""

    store: Store
    paths: RunPaths
    manifest: ScorePlan
    config: ModelConfig
    """Parsed from the plan: what the run was planned with."""
    attempt: str
    """Identifies this attempt; safe as the name of a folder."""
    started: float
    """When the process started, in seconds since 1970."""


def open_score_job(run_uri: str, attempt: str, *, started: float | None = None) -> ScoreJob:
    """Open the store and the plan that a job was started for.

    Args:
        run_uri: the address of the run's folder, `STORE/models/NAME/scoring/RUN`.
        attempt: a unique id for each attempt.
        started: when the step began, in seconds since 1970; when the process did, if not given.

    Raises:
        CodeChanged: when this code cannot even read the plan's configuration.
        ConfigError: for an address that is not a run's.
        EvidenceError: for an attempt id with other characters than letters, digits and `_.-`, and
            for a run that is a retraining.
        NotFound: when the run was never planned.
        StorageError: when the store refuses, does not answer or was never initialised.
    """
    check_attempt(attempt)
    store_uri, paths = RunPaths.from_uri(run_uri)
    if paths.kind != "scoring":
        raise EvidenceError(f"--run {run_uri!r}: is a retraining; `score` takes …/scoring/RUN")
    store = open_store(store_uri)
    plan = read_plan(store, paths)
    config = planned_config(plan)
    started = process_started() if started is None else started
    return ScoreJob(store, paths, plan, config, attempt_folder(attempt), started)
