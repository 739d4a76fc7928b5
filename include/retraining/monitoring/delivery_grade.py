"""Grading the champion by a delivery: what it scores on rows that it has never seen."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from include.retraining.config.model import ModelConfig
from include.retraining.config.model_code import load_model_code
from include.retraining.config.scorers import Scorer
from include.retraining.evaluation.contenders import Contender, predict_holdout
from include.retraining.evaluation.holdout import HoldoutRows
from include.retraining.exceptions import ArtifactError, DataRejected, EvidenceError, NotFound
from include.retraining.monitoring.comparison_lines import (
    against_before,
    champion_before,
    measured,
    null_scores,
    sample_of,
)
from include.retraining.monitoring.gate_evidence import gate_evidence
from include.retraining.monitoring.grade import Grade, VersionBefore, read_grades, write_grade
from include.retraining.monitoring.unseen_rows import read_unseen
from include.retraining.registry.promotion_log import PromotionLog, serving_of
from include.retraining.registry.versions import VersionManifest, read_version
from include.retraining.runs.job import Job
from include.retraining.runs.manifest import RunManifest
from include.retraining.training.predictions import Sample

log = logging.getLogger(__name__)


def grade_champion(job: Job) -> Grade | None:
    """Grade the version that served when a run was planned, by the run's delivery.

    What keeps it from being scored is the grade's `cannot_judge`.

    Returns:
        The grade in the store; None when there is no champion, or when its grade is known: it was
        made from this very delivery, or graded by it before.

    Raises:
        DataChanged: when a pinned file is no longer what was pinned.
        RegistryError: when the promotion log cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    store, run = job.store, job.manifest
    if run.champion is None:
        return None
    entry = PromotionLog(store, run.model).entry(run.champion.generation)
    grade = _unscored(run, job.config)
    if _is_graded(grade, read_grades(store, run.model, sources=["delivery"])):
        return None
    try:
        version = read_version(store, run.model, entry.version, digest=entry.version_digest)
        if version.data == run.delivery.files:
            return None
        evidence = gate_evidence(store, entry)
        grade = grade.model_copy(update={"promised": evidence.promise})
        code = load_model_code(job.config)
        unseen = read_unseen(
            store,
            run,
            version,
            evidence.judged_keys,
            config=job.config,
            code=code,
        )
    except (ArtifactError, DataRejected, EvidenceError, NotFound) as error:
        return write_grade(store, grade.model_copy(update={"cannot_judge": str(error)}))
    grade = grade.model_copy(update={"seen_rows": unseen.seen})
    fields = _measured(job, version, unseen.rows, code.scorers)
    return write_grade(store, grade.model_copy(update=fields))


def _unscored(run: RunManifest, config: ModelConfig) -> Grade:
    champion = run.champion
    if champion is None:
        raise EvidenceError(f"run {run.run_id} was planned without a champion: nothing to grade")
    return Grade(
        model=run.model,
        version=champion.version,
        generation=champion.generation,
        source="delivery",
        window=run.run,
        date=run.params.date.isoformat(),
        judged_at=datetime.now(UTC),
        metric=config.gates.metric,
        rows=0,
        inputs={file.name: file.sha256 for file in run.delivery.files},
    )


def _is_graded(grade: Grade, earlier: Sequence[Grade]) -> bool:
    """Return whether a version was scored by these files already: the same evidence is no news."""
    return any(
        other.score is not None and (other.version, other.inputs) == (grade.version, grade.inputs)
        for other in earlier
    )


def _measured(
    job: Job, version: VersionManifest, rows: HoldoutRows, scorers: Mapping[str, Scorer]
) -> dict[str, object]:
    """Return a grade's fields of the score, or why there is none."""
    config, least = job.config, job.config.gates.min_holdout_rows
    if rows.rows < least:
        return {
            "cannot_judge": f"{rows.rows:,} rows are new to it, at least {least:,} are needed "
            "(gates.min_holdout_rows)"
        }
    champion = predict_holdout(
        job.store,
        Contender("champion", job.manifest.champion, version),
        rows,
        problem=config.problem,
        trusted=config.training.trusted,
    )
    if champion.predictions is None:
        return {"cannot_judge": champion.error or "it cannot predict"}
    metric = config.gates.metric
    sample = sample_of(rows.labels, champion.predictions, config, scorers)
    score, reason = measured(sample, config)
    if score is None:
        return {"cannot_judge": reason}
    log.info("%s on %s new rows", metric, f"{rows.rows:,}")
    seed = (version.model, version.version, rows.digest)
    return {
        "rows": rows.rows,
        "score": score,
        "before": _before(job, rows, sample, scorers),
        "null": null_scores(metric, sample, seeded_by=seed),
    }


def _before(
    job: Job, rows: HoldoutRows, champion: Sample, scorers: Mapping[str, Scorer]
) -> VersionBefore | None:
    """Return what the champion before scores on the same rows; None where there was none."""
    store, config, served = job.store, job.config, job.manifest.champion
    promotions = PromotionLog(store, job.manifest.model)
    entry = None if served is None else champion_before(promotions, served.generation)
    if entry is None:
        return None
    serving = serving_of(entry)
    try:
        version = read_version(store, entry.model, entry.version, digest=entry.version_digest)
    except (ArtifactError, EvidenceError, NotFound) as error:
        return VersionBefore(serving=serving, score=None, error=str(error))
    other = predict_holdout(
        store,
        Contender("champion", serving, version),
        rows,
        problem=config.problem,
        trusted=config.training.trusted,
    )
    if other.predictions is None:
        return VersionBefore(serving=serving, score=None, error=other.error)
    return against_before(
        config.gates.metric,
        champion,
        sample_of(rows.labels, other.predictions, config, scorers),
        serving,
        rows_digest=rows.digest,
    )
