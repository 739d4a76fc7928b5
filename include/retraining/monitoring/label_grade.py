"""Grading what was predicted, by labels that arrived since: at the end of the step `score`.

Scoring comes first and is never kept from its result by this: what could not be graded is named in
the result with why, and the next run tries it again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from include.retraining.config.model_code import ModelCode, load_model_code
from include.retraining.data.arrays import Labels, Positions
from include.retraining.exceptions import (
    ArtifactError,
    DataChanged,
    DataRejected,
    DeliveryError,
    EvidenceError,
    NotFound,
    RetrainingError,
    TrainingError,
)
from include.retraining.monitoring.arrived_labels import ArrivedLabels, read_arrived
from include.retraining.monitoring.comparison_lines import (
    against_before,
    champion_before,
    measured,
    null_scores,
    sample_of,
)
from include.retraining.monitoring.gate_evidence import gate_evidence
from include.retraining.monitoring.grade import Grade, LabelCounts, Promise, VersionBefore
from include.retraining.monitoring.kept_labels import keep_labels, labels_changed
from include.retraining.monitoring.label_windows import Window, labels_of, windows_due
from include.retraining.monitoring.past_scores import ScoredRows, predict_as, read_scored
from include.retraining.registry.promotion_log import PromotionLog, serving_of
from include.retraining.registry.versions import VersionManifest, read_version
from include.retraining.runs.exhaustion import exhausted
from include.retraining.runs.foreign_errors import withheld
from include.retraining.runs.job import cost
from include.retraining.scoring.job import ScoreJob
from include.retraining.scoring.result import FailedPartition, ScoreResult
from include.retraining.training.predictions import Sample, rows_digest

log = logging.getLogger(__name__)

FOR_GOOD = (ArtifactError, DataRejected, DeliveryError, EvidenceError, NotFound)
"""Errors that the next run would meet again: the grade says that it cannot be judged, and why."""
NOT_COMPARED = (*FOR_GOOD, DataChanged, TrainingError)
"""Errors for which there is a grade, without a comparison with the champion before."""


def with_grades(job: ScoreJob, result: ScoreResult) -> ScoreResult:
    """Return the result of a scoring with the grades of earlier scores whose labels came.

    Each grade is written before it is named; one that is there is never changed.
    """
    graded: list[str] = []
    ungraded: list[FailedPartition] = []
    for window in _due(job, ungraded):
        try:
            graded.append(_Grader(job).write(window))
            log.info("%s: graded", window)
        except RetrainingError as error:
            log.error("%s: not graded: %s", window, error)  # noqa: TRY400 a cause may show a value
            ungraded.append(FailedPartition(name=window.name, kind=error.kind, why=str(error)))
        except Exception as error:  # scores must be announced after any error of a monitor
            if exhausted(error) is not None:
                raise  # the machine is too small: the scores are there, and the next try finds them
            why = withheld(error, log)
            ungraded.append(FailedPartition(name=window.name, kind="error", why=why))
    if not (graded or ungraded):
        return result
    return result.model_copy(
        update={
            "graded": tuple(graded),
            "ungraded": tuple(ungraded),
            "finished_at": datetime.now(UTC),
            "cost": cost(job, with_commands=True),
        }
    )


def _due(job: ScoreJob, ungraded: list[FailedPartition]) -> list[Window]:
    """Return the windows to grade; none, and why, where that cannot be read."""
    if not job.manifest.windows:
        return []
    try:
        return windows_due(job.store, job.config, _today(job))
    except RetrainingError as error:
        ungraded.append(FailedPartition(name="labels", kind=error.kind, why=str(error)))
        return []


def _today(job: ScoreJob) -> date:
    """Return the day on which a run was planned, in the model's time zone."""
    zone = ZoneInfo(job.config.trigger.timezone)
    return job.manifest.created_at.astimezone(zone).date()


class _Grader:
    """Grades the windows of one job."""

    def __init__(self, job: ScoreJob) -> None:
        self._job = job
        self._store, self._config = job.store, job.config
        self._log = PromotionLog(job.store, job.manifest.model)
        self._code: ModelCode = load_model_code(job.config)

    def write(self, window: Window) -> str:
        """Write a window's grade unless it is there, and return its key."""
        grade = self._unscored(window)
        try:
            grade = self._judged(window, grade)
        except FOR_GOOD as error:
            grade = grade.model_copy(update={"cannot_judge": str(error)})
        self._store.create(window.key, grade.to_bytes())
        return window.key

    def _unscored(self, window: Window) -> Grade:
        scores = window.scores
        return Grade(
            model=scores.model,
            version=scores.version,
            generation=scores.generation,
            source="labels",
            window=window.name,
            date=window.name,
            judged_at=datetime.now(UTC),
            metric=self._config.gates.metric,
            rows=0,
            promised=self._promise(scores.generation),
        )

    def _judged(self, window: Window, grade: Grade) -> Grade:
        """Return a grade with its score and what that is read beside, or why it has none."""
        config, scores = self._config, window.scores
        version = read_version(
            self._store, scores.model, scores.version, digest=scores.version_digest
        )
        if date.fromisoformat(version.data_date) >= window.due:
            raise EvidenceError(
                f"it was trained on data of {version.data_date}, and the labels of these rows were "
                f"known on {window.due}: it may have seen them"
            )
        rows = read_scored(window.folder, scores, version, config)
        arrived = read_arrived(self._store, config, self._code, rows.keys, self._days(window))
        positions, labels = arrived.joined(config.problem)
        by_row = keep_labels(self._store, window, len(rows.keys), positions, labels)
        grade = grade.model_copy(
            update={
                "labels": self._counts(window, arrived, positions, labels),
                "labels_by_row": by_row,
                "inputs": arrived.inputs,
            }
        )
        sample = sample_of(labels, rows.take(positions), config, self._code.scorers)
        score, reason = measured(sample, config)
        if score is None:
            return grade.model_copy(update={"cannot_judge": reason})
        return grade.model_copy(
            update={
                "rows": sample.rows,
                "score": score,
                "before": self._before(window, rows, sample, positions, labels),
                "null": null_scores(
                    grade.metric, sample, seeded_by=(grade.model, grade.window, grade.version)
                ),
            }
        )

    def _days(self, window: Window) -> Iterator[date]:
        """Yield the days on which labels of a window may have been delivered, in order."""
        today = _today(self._job)
        if not labels_of(self._config).is_dated:
            yield today
            return
        for days in range((today - window.day).days + 1):
            yield window.day + timedelta(days=days)

    def _promise(self, generation: int) -> Promise | None:
        """Return what the gate had measured of the version; None where that is not known."""
        try:
            return gate_evidence(self._store, self._log.entry(generation)).promise
        except (EvidenceError, NotFound) as error:
            log.warning("what the gate promised is not known: %s", error)
            return None

    def _counts(
        self, window: Window, arrived: ArrivedLabels, positions: Positions, labels: Labels
    ) -> LabelCounts:
        return LabelCounts(
            mature=len(positions),
            immature=0,
            late=len(arrived.keys) - len(positions),
            doubled=len(arrived.doubled),
            corrected=labels_changed(self._store, window, positions, labels),
        )

    def _before(
        self,
        window: Window,
        rows: ScoredRows,
        sample: Sample,
        positions: Positions,
        labels: Labels,
    ) -> VersionBefore | None:
        """Return what the champion before scores on the same rows; None where there was none."""
        entry = champion_before(self._log, window.scores.generation)
        if entry is None:
            return None
        serving = serving_of(entry)
        try:
            version: VersionManifest = read_version(
                self._store, entry.model, entry.version, digest=entry.version_digest
            )
            other = predict_as(
                self._store,
                entry,
                version,
                window.scores,
                window.folder,
                config=self._config,
                code=self._code,
            )
        except NOT_COMPARED as error:
            return VersionBefore(serving=serving, score=None, error=str(error))
        if not other.keys.equals(rows.keys):
            reason = "its scores of this input have other rows, or another order"
            return VersionBefore(serving=serving, score=None, error=reason)
        predicted = other.take(positions)
        return against_before(
            self._config.gates.metric,
            sample,
            sample_of(labels, predicted, self._config, self._code.scorers),
            serving,
            rows_digest=rows_digest(rows.keys.to_numpy()[positions], labels),
        )
