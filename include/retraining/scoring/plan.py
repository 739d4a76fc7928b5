"""The plan of a scoring run: which partitions of which input, by which code. Written first.

Which version scores them is not planned: the job follows the promotion log.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from include.retraining.config.compute import resolve
from include.retraining.config.model import ModelConfig
from include.retraining.config.step_compute import ImageCompute
from include.retraining.documents import Document, canonical_json, sha256_of
from include.retraining.exceptions import EvidenceError, MissingObject, NotFound
from include.retraining.fingerprint.digests import code_by_bytes
from include.retraining.fingerprint.pinned import Code
from include.retraining.runs.manifest import Serving, TriggeredBy
from include.retraining.runs.reference import RunRef
from include.retraining.scoring.partitions import Due, PlannedPartition, scoring_of
from include.retraining.scoring.refusals import RefusedPartition
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store


class ScorePlan(Document):
    """Everything that a scoring run pinned. Written once, first, and never edited."""

    format: int = 1
    model: str
    dag_id: str
    run_id: str
    run: str
    """The plan's folder name."""
    run_after: datetime
    created_at: datetime
    cause: TriggeredBy
    code: Code
    config: dict[str, Any]
    """The model's whole configuration, as resolved (`ModelConfig`)."""
    compute: dict[str, Any]
    """Where it runs and what it may use for this input. Recorded; a job that was planned and not
    yet started follows the model's YAML as it is."""
    champion: Serving
    """What served when the run was planned; the job asks again."""
    partitions: tuple[PlannedPartition, ...]
    """The newest first."""
    refused: tuple[RefusedPartition, ...] = ()
    """Whose input cannot be accepted; found while the others were planned."""
    windows: tuple[str, ...] = ()
    """What was scored earlier and is to be graded by labels, in words; the job finds it anew."""
    fingerprint: str
    """SHA-256 of all that the result depends on but the champion."""

    @property
    def total_bytes(self) -> int:
        """The size of all that the run reads."""
        return sum(partition.input.total_bytes for partition in self.partitions)


def plan_scoring(
    store: Store,
    config: ModelConfig,
    run: RunRef,
    due: Due,
    champion: Serving,
    *,
    now: datetime,
    windows: tuple[str, ...] = (),
    git_sha: str | None = None,
    image: str | None = None,
) -> ScorePlan:
    """Write what a run is to score; adopt the plan that it has where that is the same.

    Args:
        store: the store.
        config: the model's.
        run: the run, of the kind `scoring`.
        due: what is to be scored, and what was refused.
        champion: what serves now.
        now: the time.
        windows: what is to be graded by its labels, in words; there are some, or partitions.
        git_sha: the commit, where it is known.
        image: the worker's image, where it is known.

    Raises:
        ConfigError: when the model has no Python file.
        StorageError: when the store refuses or does not answer.
    """
    own = scoring_of(config).compute
    paths = replace(run.paths, run=run.paths.first_plan)
    total_bytes = sum(partition.input.total_bytes for partition in due.partitions)
    code = code_by_bytes(
        config.name,
        extras=config.training.extras,
        git_sha=git_sha,
        image=own.image if isinstance(own, ImageCompute) else image,
    )
    plan = ScorePlan(
        model=config.name,
        dag_id=run.dag_id,
        run_id=run.run_id,
        run=paths.run,
        run_after=run.run_after,
        created_at=now,
        cause=run.cause,
        code=code,
        config=config.model_dump(mode="json"),
        compute=resolve(own, total_bytes).model_dump(mode="json"),
        champion=champion,
        partitions=due.partitions,
        refused=due.refused,
        windows=windows,
        fingerprint=_fingerprint(config, code, due, windows, run.clear),
    )
    return _written(store, plan, paths)


def _written(store: Store, plan: ScorePlan, paths: RunPaths) -> ScorePlan:
    """Write a plan, or adopt the same one; another takes the place after it."""
    while not store.create(paths.manifest, _placed(plan, paths).to_bytes()):
        there = read_plan(store, paths)
        if there.fingerprint == plan.fingerprint:
            return there
        paths = paths.next_plan()
    return _placed(plan, paths)


def _placed(plan: ScorePlan, paths: RunPaths) -> ScorePlan:
    return plan.model_copy(update={"run": paths.run})


def _fingerprint(
    config: ModelConfig, code: Code, due: Due, windows: tuple[str, ...], clear: int
) -> str:
    """Return what names a plan; a run that was cleared scores what is due then."""
    parts = {
        "config": config.digest,
        "code": code.model_dump(mode="json", include={"core_digest", "model_digest"}),
        "partitions": [partition.model_dump(mode="json") for partition in due.partitions],
        "refused": [refused.digest for refused in due.refused],
        "windows": list(windows),
        "clear": clear,
    }
    return sha256_of(canonical_json(parts))


def read_plan(store: Store, paths: RunPaths) -> ScorePlan:
    """Return a plan.

    Raises:
        NotFound: when the run was never planned.
        EvidenceError: when it is unreadable or of another run.
    """
    try:
        data = store.read(paths.manifest)
    except MissingObject as error:
        raise NotFound(
            f"{store.uri}/{paths.folder}: no such run, or it was never planned"
        ) from error
    plan = ScorePlan.from_bytes(data, where=paths.manifest)
    if (plan.model, plan.run) != (paths.model, paths.run):
        raise EvidenceError(f"{paths.manifest}: belongs to {plan.model}/{plan.run}")
    return plan
