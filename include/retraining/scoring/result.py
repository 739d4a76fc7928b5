"""What the step `score` leaves behind as evidence: which scores count for which partition."""

from __future__ import annotations

from typing import Literal

from include.retraining.documents import Document, sha256_of
from include.retraining.exceptions import EvidenceError, MissingObject
from include.retraining.runs.results import StepResult, find_result_of
from include.retraining.scoring.plan import ScorePlan
from include.retraining.scoring.refusals import RefusedPartition
from include.retraining.scoring.scores import ScoresFolder
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store


class ScoredPartition(Document):
    """The scores of a partition, as the job left them."""

    name: str
    """ISO date of its day, or `all`."""
    version: str
    generation: int
    """Of the promotion log when the scores were made."""
    rows: int
    unknown: dict[str, int]
    """As `Scores.unknown`."""
    output: str
    """The address of the partition's folder."""
    number: int
    """Of the manifest that counts."""
    sha256: str
    """Of that manifest."""
    was_there: bool
    """Whether another run, or an earlier attempt, had made these scores already."""


class FailedPartition(Document):
    """A partition that could not be scored, by no fault of its delivery or after it."""

    name: str
    kind: str
    """Of the error (`RetrainingError.kind`)."""
    why: str


class ScoreResult(StepResult):
    """Every partition of the plan has the scores of its champion, or is named with why not."""

    step: Literal["score"] = "score"
    partitions: tuple[ScoredPartition, ...]
    """Those that were scored, in the plan's order."""
    refused: tuple[RefusedPartition, ...] = ()
    """Those whose input is refused; they have the scores that they had."""
    failed: tuple[FailedPartition, ...] = ()
    """Those that could not be scored; the next run tries them again."""
    outdated: tuple[str, ...] = ()
    """The names of those whose input was delivered again since the plan: the run of that delivery
    scores them."""
    graded: tuple[str, ...] = ()
    """The keys of the grades of what was scored earlier, whose labels came since."""
    ungraded: tuple[FailedPartition, ...] = ()
    """What could not be graded; the next run tries it again."""


def find_score_result(store: Store, paths: RunPaths, plan: ScorePlan) -> ScoreResult | None:
    """Return a run's verified result, or None when the step left none.

    Raises:
        EvidenceError: when it is unreadable, of another plan, or a manifest that it names is
            missing or altered.
    """
    result = find_result_of(ScoreResult, store, paths, plan)
    if result is None:
        return None
    for partition in result.partitions:
        folder = ScoresFolder.at(store, partition.output)
        where = f"{folder.uri}/{partition.number:08d}.json"
        try:
            data = folder.store.read(folder.manifest_key(partition.number))
        except MissingObject:
            raise EvidenceError(f"{where}: the result names it, and it is missing") from None
        if sha256_of(data) != partition.sha256:
            raise EvidenceError(f"{where}: was altered since the result named it")
    return result


def read_score_result(store: Store, paths: RunPaths, plan: ScorePlan) -> ScoreResult:
    """Return a run's result, verified: a task that Airflow calls a success is no evidence.

    Raises:
        EvidenceError: as `find_score_result`, and when there is none.
    """
    result = find_score_result(store, paths, plan)
    if result is None:
        raise EvidenceError(f"{store.uri}/{paths.result('score')}: the scoring left no result")
    return result
