"""The step `score`: each planned partition gets the scores of the version that is the champion.

The champion is read from the promotion log before each partition and once more before its manifest
is put: a promotion or a rollback during the job is followed, and what the version before had just
computed is left unnamed. The flag of its input is read as often: a partition that was delivered
again since the plan is left to the run of that delivery.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from include.retraining.config.model_code import load_model_code
from include.retraining.exceptions import (
    ArtifactError,
    DataChanged,
    DataRejected,
    EvidenceError,
    InfrastructureError,
    RegistryError,
    RetrainingError,
    TrainingError,
)
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.runs.job import cost
from include.retraining.scoring.claims import ScoringClaims
from include.retraining.scoring.job import ScoreJob
from include.retraining.scoring.partitions import PlannedPartition, current_flag
from include.retraining.scoring.refusals import RefusedPartition
from include.retraining.scoring.result import FailedPartition, ScoredPartition, ScoreResult
from include.retraining.scoring.scores import Scores, ScoresFolder, input_digest
from include.retraining.scoring.table import write_table
from include.retraining.serving.version import LoadedVersion, load_served

log = logging.getLogger(__name__)

OF_ONE_PARTITION = (DataChanged, ArtifactError, TrainingError, EvidenceError)
"""Errors after which the other partitions are scored all the same."""
MAX_CHANGES = 5
"""How often the champion may change while one partition is scored."""


def score(job: ScoreJob) -> ScoreResult:
    """Score every partition of a plan.

    An input that breaks the contract of the features is refused, and one that cannot be scored is
    named with why; the others are scored. Only where nothing else is left is that error raised.

    Raises:
        DataChanged: when a pinned file is no longer what was pinned.
        ArtifactError: when the champion's files are damaged or may not be loaded.
        TrainingError: when the model's own code failed.
        EvidenceError: when a partition's manifest cannot be parsed.
        RegistryError: when the promotion log cannot be read.
        TrainingElsewhere: when another run scores the same input by the same version now.
        StorageError: when the store refuses or does not answer.
    """
    scorer = _Scorer(job)
    partitions: list[ScoredPartition] = []
    refused, failed = list(job.manifest.refused), list[FailedPartition]()
    outdated: list[str] = []
    errors: list[RetrainingError] = []
    for planned in job.manifest.partitions:
        name = planned.name
        try:
            scored = scorer.partition(planned)
            if scored is None:
                outdated.append(name)
            else:
                partitions.append(scored)
        except DataRejected as error:
            log.warning("%s: refused: %s", name, error)
            flag, why = planned.input.flag.identity, str(error)
            version = scorer.version
            refused.append(RefusedPartition(name=name, flag=flag, version=version, why=why))
        except OF_ONE_PARTITION as error:
            log.error("%s: not scored: %s", name, error)  # noqa: TRY400 a cause may show a value
            failed.append(FailedPartition(name=name, kind=error.kind, why=str(error)))
            errors.append(error)
    if errors and not (partitions or refused):
        raise errors[0]
    return ScoreResult(
        run_id=job.manifest.run_id,
        fingerprint=job.manifest.fingerprint,
        finished_at=datetime.now(UTC),
        cost=cost(job, with_commands=True),
        partitions=tuple(partitions),
        refused=tuple(refused),
        failed=tuple(failed),
        outdated=tuple(outdated),
    )


class _Scorer:
    """Scores the partitions of one job, and keeps the version that it has loaded."""

    def __init__(self, job: ScoreJob) -> None:
        self._job = job
        self._log = PromotionLog(job.store, job.manifest.model)
        self._code = load_model_code(job.config)
        self._loaded: LoadedVersion | None = None
        self.version = job.manifest.champion.version
        """The version that was asked last."""

    def partition(self, planned: PlannedPartition) -> ScoredPartition | None:
        """Return the scores that count for a partition, made here or found there.

        None when its input was delivered again, or taken away, since the run was planned.
        """
        folder = ScoresFolder.at(self._job.store, planned.output)
        for _ in range(MAX_CHANGES):
            champion = self._champion()
            if not self._is_as_planned(planned):
                log.warning("%s: its input was delivered again since the plan", planned.name)
                return None
            there = folder.newest()
            if there is not None and there.answers(champion.version, planned.input):
                log.info("%s: scored already by version %s", planned.name, champion.version)
                return _scored(folder, there, was_there=True)
            published = self._made(folder, planned, champion)
            if published is not None:
                return published
            log.info("%s: its champion or its input changed meanwhile", planned.name)
        raise InfrastructureError(
            f"{planned.name}: the champion changed {MAX_CHANGES} times while it was scored"
        )

    def _made(
        self, folder: ScoresFolder, planned: PlannedPartition, champion: PromotionEntry
    ) -> ScoredPartition | None:
        """Make the champion's scores those that count; None when it, or the input, is outdated."""
        digest, version = input_digest(planned.input), champion.version
        claims = ScoringClaims(
            self._job.store,
            self._job.manifest.model,
            version,
            partition=planned.name,
            input_digest=digest,
        )
        paths, run_id = self._job.paths, self._job.manifest.run_id
        with claims.hold(run_id=run_id, plan=paths.run, attempt=self._job.attempt):
            there = folder.newest()
            if there is not None and there.answers(version, planned.input):
                return _scored(folder, there, was_there=True)
            earlier = folder.earlier(version, digest)
            scores = self._scores(folder, planned, champion, earlier)
            published = folder.publish(
                scores,
                lambda: self._champion().version == version and self._is_as_planned(planned),
            )
        if published is None:
            return None
        log.info("%s: %s rows by version %s", planned.name, f"{published.rows:,}", version)
        return _scored(folder, published, was_there=earlier is not None)

    def _scores(
        self,
        folder: ScoresFolder,
        planned: PlannedPartition,
        champion: PromotionEntry,
        earlier: Scores | None,
    ) -> Scores:
        """Return a manifest of the champion's scores: of those that it made before, or of new."""
        run_id, now = self._job.manifest.run_id, datetime.now(UTC)
        if earlier is not None:
            log.info("%s: version %s has scored it before", planned.name, champion.version)
            own = {"generation": champion.generation, "run_id": run_id, "created_at": now}
            return earlier.model_copy(update={**own, "input": planned.input})
        name = f"data/{champion.version}/{self._job.paths.run}.{self._job.attempt}/scores.parquet"
        table = write_table(
            self._job, planned, self._version(champion), code=self._code, folder=folder, name=name
        )
        return Scores(
            model=self._job.manifest.model,
            partition=planned.name,
            number=1,
            version=champion.version,
            generation=champion.generation,
            version_digest=champion.version_digest,
            rows=table.rows,
            files=(table.file,),
            columns=table.columns,
            input=planned.input,
            unknown=table.unknown,
            run_id=run_id,
            attempt=self._job.attempt,
            created_at=now,
        )

    def _version(self, champion: PromotionEntry) -> LoadedVersion:
        """Return the champion, verified and loaded, the same as before where it is the same."""
        if self._loaded is None or self._loaded.digest != champion.version_digest:
            trusted = self._job.config.training.trusted
            self._loaded = load_served(self._job.store, champion, trusted)
        self.version = champion.version
        return self._loaded

    def _is_as_planned(self, planned: PlannedPartition) -> bool:
        """Return whether the flag of the input is the one that the run was planned by."""
        flag = current_flag(self._job.store, self._job.config, planned.date)
        return flag is not None and flag.identity == planned.input.flag.identity

    def _champion(self) -> PromotionEntry:
        champion = self._log.champion()
        if champion is None:
            raise RegistryError(f"{self._job.manifest.model}: no version was promoted yet")
        return champion


def _scored(folder: ScoresFolder, scores: Scores, *, was_there: bool) -> ScoredPartition:
    return ScoredPartition(
        name=scores.partition,
        version=scores.version,
        generation=scores.generation,
        rows=scores.rows,
        unknown=scores.unknown,
        output=folder.uri,
        number=scores.number,
        sha256=scores.content_digest,
        was_there=was_there,
    )
