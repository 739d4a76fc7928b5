"""What a version scored on labels that came after its promotion, beside what its gate promised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, get_args

from pydantic import Field

from include.retraining.documents import Document
from include.retraining.gate.margin import Z_95
from include.retraining.runs.manifest import RunManifest, Serving
from include.retraining.runs.results import StoredObject
from include.retraining.store.layout import grade_key, grades_folder
from include.retraining.store.object_store import Store

Source = Literal["delivery", "labels"]
"""Where the labels are from: a delivery of training data, or `labels` of what was predicted."""
SOURCES: tuple[Source, ...] = get_args(Source)

ERRORS = 3.090232306167813
"""Standard errors of the difference from the promise beyond which a score is worse than promised:
a version that is as good as it was exceeds them in one of 1,000 deliveries."""
LEAD_SHARE = 0.1
"""Of the promised lead over the naive baseline, how much may be lost: with a million rows, less
than anyone would retrain for is beyond chance."""


class Interval(Document):
    """A score with its 95 % interval, by the standard error that the gate keeps of a score."""

    value: float
    low: float
    """Lower end of the interval."""
    high: float
    standard_error: float
    """In the metric's unit."""
    rows: int
    """It was measured on so many."""

    @classmethod
    def around(cls, value: float, standard_error: float, rows: int) -> Interval:
        """Return the interval of a score, from its standard error."""
        reach = Z_95 * standard_error
        return cls(
            value=value,
            low=value - reach,
            high=value + reach,
            standard_error=standard_error,
            rows=rows,
        )


class Promise(Document):
    """What the gate measured when the version was promoted."""

    score: Interval
    baseline: float
    """What the naive baseline scored on the same rows."""
    run_id: str | None
    """The run whose gate judged it."""
    report_digest: str | None
    """SHA-256 of that run's evaluation report; null where it cannot be found any more."""


class VersionBefore(Document):
    """What the champion before scored on the same rows."""

    serving: Serving
    score: float | None
    """Null when it could not be scored."""
    difference: float | None = None
    """The graded version's score minus this one's, paired."""
    low: float | None = None
    """Lower end of the difference's 95 % interval."""
    high: float | None = None
    error: str | None = None
    """Why there is no difference."""


class NullScores(Document):
    """What the version's predictions score when the labels are shuffled among the rows."""

    mean: float
    spread: float
    """The standard deviation over the shuffles."""
    shuffles: int


class LabelCounts(Document):
    """What became of the labels of a window, where they arrive after the predictions."""

    mature: int
    """Predictions whose label may be expected, and that have one: they are scored."""
    immature: int
    """Predictions that are not old enough to be judged; they are not scored. Those of a partition
    are of one age, so there are none in a grade of one."""
    late: int
    """Predictions that are old enough, and have no label, or two different ones."""
    doubled: int
    """Keys with more than one label in a delivery. Where they agree, they are one."""
    corrected: int
    """Labels that differ from those of the window's earlier grade, or were taken back since."""


class Grade(Document):
    """What a version scored on rows that it had not seen. Put if absent."""

    format: int = 1
    model: str
    version: str
    generation: int
    """Of the promotion log: when this version was graded, it had served since this entry."""
    source: Source
    window: str
    """What was graded: the run whose delivery it is, or the partition of the scores. Windows of a
    source are in the order of their names."""
    date: str
    """ISO date of the labelled data."""
    judged_at: datetime
    metric: str
    rows: int
    """The rows that were scored; 0 when none could be."""
    seen_rows: int = 0
    """The rows that were left out because the version was trained or judged on them."""
    score: Interval | None = None
    """Null exactly when `cannot_judge` says why."""
    cannot_judge: str | None = None
    """Why there is no score, in a sentence without an end."""
    promised: Promise | None = None
    """Null for a version that no gate measured, or before its error was kept."""
    before: VersionBefore | None = None
    """Null when no other version served before."""
    null: NullScores | None = None
    labels: LabelCounts | None = None
    """Of the source `labels`."""
    labels_by_row: StoredObject | None = None
    """Of the source `labels`: the label of each row of the scores, in their order; no key."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """The SHA-256 of each file that was read, by its name."""

    @property
    def shortfall(self) -> float | None:
        """The promised score minus this one: positive for a worse one; None without either."""
        if self.score is None or self.promised is None:
            return None
        return self.promised.score.value - self.score.value

    @property
    def tolerated(self) -> float | None:
        """The shortfall up to which the score is not worse than promised; None without either.

        It is what chance explains, by the errors of both scores, and at least `LEAD_SHARE` of what
        the gate had measured beyond the naive baseline.
        """
        if self.score is None or self.promised is None:
            return None
        promised = self.promised.score
        chance = ERRORS * math.hypot(promised.standard_error, self.score.standard_error)
        return max(chance, LEAD_SHARE * (promised.value - self.promised.baseline))

    @property
    def is_worse(self) -> bool | None:
        """Whether the version scored worse than promised; None when that cannot be judged."""
        shortfall, tolerated = self.shortfall, self.tolerated
        return None if shortfall is None or tolerated is None else shortfall > tolerated


def is_graded(store: Store, run: RunManifest) -> bool:
    """Return whether a run has nothing to grade: no champion, or one that it graded already.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    if run.champion is None:
        return True
    return store.exists(grade_key(run.model, "delivery", run.run, run.champion.version))


def write_grade(store: Store, grade: Grade) -> Grade:
    """Write a grade, or adopt the one that its window has.

    Returns:
        The grade in the store.

    Raises:
        EvidenceError: when the one in the store cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    key = grade_key(grade.model, grade.source, grade.window, grade.version)
    store.create(key, grade.to_bytes())
    return Grade.from_bytes(store.read(key), where=key)


def read_grades(
    store: Store,
    model: str,
    *,
    since: datetime | None = None,
    sources: Sequence[Source] = SOURCES,
) -> list[Grade]:
    """Return a model's grades, for each source in the order of their windows.

    Args:
        store: with the grades.
        model: whose.
        since: only those that were written at this time of the store's clock, or later.
        sources: of these only, in this order.

    Raises:
        EvidenceError: for a grade that cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    listed = [
        info
        for source in sources
        for info in store.children(grades_folder(model, source))[1]
        if since is None or info.last_modified >= since
    ]
    return [Grade.from_bytes(store.read(info.key), where=info.key) for info in listed]
