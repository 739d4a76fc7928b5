"""Comparing a delivery with the champion's training rows, and profiling those of its own version.

Both in one pass over the delivery, a column at a time. It runs beside the training and reads what
that reads, so that neither a fit nor a verdict depends on it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from include.retraining.config.model_code import ModelCode, dividing_columns, load_model_code
from include.retraining.data.dataset import open_dataset
from include.retraining.data.reading import reading_of
from include.retraining.data.split import holdout_mask
from include.retraining.exceptions import ArtifactError, DataRejected, EvidenceError, NotFound
from include.retraining.monitoring.column_profile import ColumnProfile, profile_column
from include.retraining.monitoring.comparison import Comparison
from include.retraining.monitoring.drift import Drift, read_drifts, write_drift
from include.retraining.monitoring.drift_limits import MAX_READ, LearnedLimits
from include.retraining.monitoring.profile import Profile, read_profile, write_profile
from include.retraining.registry.versions import find_version
from include.retraining.runs.job import Job
from include.retraining.runs.manifest import Serving


def observe_delivery(job: Job) -> Drift | None:
    """Compare a run's delivery with what the champion was trained on, and keep its own profile.

    What keeps it from being compared is the document's `cannot_judge`.

    Returns:
        What is in the store; None when there was no champion as the run was planned, or that one
        was trained on this very delivery.

    Raises:
        DataChanged: when a pinned file is no longer what was pinned.
        StorageError: when the store refuses or does not answer.
    """
    champion = job.manifest.champion
    if champion is None or _is_trained_on_it(job, champion):
        _read(job, {}, None)
        return None
    drift = _uncompared(job, champion)
    try:
        earlier = read_drifts(job.store, drift.model, "delivery", limit=MAX_READ)
        before = [one for one in earlier if one.window < drift.window]
        profile = read_profile(job.store, drift.model, champion.version)
    except (EvidenceError, NotFound) as error:
        _read(job, {}, None)
        return write_drift(job.store, drift.model_copy(update={"cannot_judge": str(error)}))
    limits = LearnedLimits(before, generation=champion.generation)
    comparison = Comparison(profile.columns, limits)
    try:
        rows = _read(job, profile.columns, comparison)
    except DataRejected as error:
        return write_drift(job.store, drift.model_copy(update={"cannot_judge": str(error)}))
    return write_drift(job.store, comparison.finish(drift, rows))


def _is_trained_on_it(job: Job, champion: Serving) -> bool:
    try:
        version = find_version(job.store, job.manifest.model, champion.version)
    except (ArtifactError, EvidenceError):
        return False  # whoever loads it says so; its profile is beside it
    return version is not None and version.data == job.manifest.delivery.files


def _uncompared(job: Job, champion: Serving) -> Drift:
    run = job.manifest
    return Drift(
        model=run.model,
        source="delivery",
        window=run.run,
        judged_at=datetime.now(UTC),
        version=champion.version,
        generation=champion.generation,
        rows=0,
        inputs={file.name: file.sha256 for file in run.delivery.files},
    )


def _read(job: Job, compared: dict[str, ColumnProfile], comparison: Comparison | None) -> int:
    """Read a delivery once: compare its columns, profile its training rows; return its rows."""
    code = load_model_code(job.config)
    reading = reading_of(job.config, code).guessing(compared)
    own: dict[str, ColumnProfile] = {}
    with open_dataset(job.store, job.manifest.delivery, reading) as dataset:
        about = dataset.frame(dividing_columns(job.config))
        trains = ~holdout_mask(about, job.config)
        wanted = dict.fromkeys((*code.features, *compared))
        for column in dataset.columns([name for name in wanted if name in dataset.names]):
            if comparison is not None:
                comparison.add(column)
            name = str(column.name)
            profile = profile_column(column[trains]) if name in code.features else None
            if profile is not None:
                own[name] = profile
        rows = dataset.rows
    _keep(job, own, int(trains.sum()), code)
    return rows


def _keep(job: Job, columns: dict[str, ColumnProfile], rows: int, code: ModelCode) -> None:
    """Keep the profile of the run's version, whether or not it is promoted some day."""
    ordered = {name: columns[name] for name in code.features if name in columns}
    write_profile(
        job.store,
        Profile(
            model=job.manifest.model,
            version=job.manifest.version,
            run_id=job.manifest.run_id,
            created_at=datetime.now(UTC),
            rows=rows,
            columns=ordered,
        ),
    )
