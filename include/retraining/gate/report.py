"""The evaluation report: small, complete, and all that the gate reads."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from include.retraining.data.split_record import SplitUsed
from include.retraining.documents import Document
from include.retraining.formatting.numbers import metric_name
from include.retraining.formatting.text import truncate
from include.retraining.runs.manifest import Serving


class Holdout(Document):
    """The rows that every version was scored on."""

    rows: int
    digest: str
    """SHA-256 over the keys and labels, in order: two scores compare only if this agrees."""
    rows_in_training: int
    """Keys that are also in the training part; anything but 0 is a leak."""
    left_out_classes: tuple[int | str, ...] = ()
    """For a multiclass problem, the classes that a version knows and no row of the holdout has:
    they take part in no score."""


class Comparison(Document):
    """The challenger's decision metric minus another version's, paired on the same rows."""

    metric: str
    holdout_digest: str
    """The rows both were scored on."""
    difference: float
    lower: float
    """Lower end of the interval."""
    upper: float
    method: str
    """How the interval was made, and from how many rows that differ."""
    rows: int
    level: float = 0.95
    """Of the interval: 0.95 for the first try on these rows, closer to 1 for a later one."""
    rarest: int | None = None
    """For a classifier, the rows of the class that has the fewest."""
    narrowest: float | None = None
    """For a classifier, half the interval of two versions that answer every row alike: with these
    rows, no smaller difference can be excluded."""


class Try(Document):
    """Which challenger this is on these rows."""

    number: int
    """Counted from 1, this one included, since the champion became one."""
    generation: int
    """The champion's; 0 when nothing serves."""


class Scores(Document):
    """What one version scored. A metric that could not be computed is null."""

    version: str
    """The version's name; `baseline` for the naive baseline."""
    holdout_digest: str
    metrics: dict[str, float | None]
    undefined: dict[str, str] = Field(default_factory=dict)
    """Why a metric is null: what there is too little of, or what the model does not give."""
    standard_error: float | None = None
    """Of the decision metric on these rows; null where it is unknown, and in a report from
    before it was kept."""
    answers: str | None = None
    """Of the naive baseline: what it always says. Null for a version, and in a report from before
    the baseline was fitted to the metric."""
    latency_ms_per_1000_rows: float | None = None
    model_bytes: int | None = None


class JudgedScore(Document):
    """What a version scored when it was judged, to be compared with what it scores later."""

    metric: str
    value: float
    standard_error: float
    """In the metric's unit."""
    baseline: float
    """What the naive baseline scored on the same rows."""
    rows: int
    """Of that holdout."""


class WindowScores(Document):
    """The recipe on one period before the holdout, fitted to what came before that."""

    after: datetime
    """Its rows are younger than this."""
    until: datetime
    """And no younger than this."""
    rows: int
    digest: str
    """SHA-256 over keys and labels, in order."""
    challenger: float | None
    """The decision metric of the challenger's recipe; null where it is not defined."""
    against: dict[str, Comparison | None]
    """The challenger's recipe minus the other's, by `baseline`, `champion` and `best`, on the rows
    that both predicted; null where there is no comparison."""
    reasons: dict[str, str] = Field(default_factory=dict)
    """Why one is null, by the same words."""


class Opponent(Document):
    """A champion that the challenger is compared with, or why it could not be scored."""

    serving: Serving
    split: SplitUsed | None
    """Null when its manifest cannot be read."""
    scores: Scores | None
    comparison: Comparison | None
    error: str | None = None
    """Why there are no scores: what is missing, altered or cannot be loaded."""
    judged: JudgedScore | None = None
    """What it scored in the run that promoted it, where its entry in the promotion log says so."""


class SliceScores(Document):
    """The decision metric on one subgroup."""

    column: str
    value: str
    rows: int
    is_judged: bool
    """False under `min_group_rows`."""
    challenger: float | None
    champion: float | None
    undefined: str | None = None
    """Why the metric is not defined here, with its counts."""
    difference: float | None = None
    """The challenger's minus the champion's."""
    upper: float | None = None
    """Upper end of the difference's interval: of a 90 % one that all slices together keep."""


class GroupRates(Document):
    """How one group of a protected attribute is treated by the challenger."""

    group: str
    rows: int
    is_judged: bool
    selection_rate: float | None
    true_positive_rate: float | None
    false_positive_rate: float | None


class Fairness(Document):
    """One protected attribute."""

    attribute: str
    groups: tuple[GroupRates, ...]
    disparate_impact: float | None
    """Lowest selection rate divided by the highest, over the judged groups."""
    equalized_odds_difference: float | None
    label_disparate_impact: float | None
    """The same ratio in the labels themselves: what the data already holds."""


class Calibration(Document):
    """How far the probabilities of challenger and champion lie from what happened.

    All numbers are probabilities: the root of a mean square over groups of rows, less what chance
    alone would add.
    """

    holdout_digest: str
    """The rows both were measured on."""
    challenger: float | None
    """Null where it gives no probabilities."""
    champion: float | None = None
    """Null where it gives none, could not be scored, or where nothing serves."""
    excess: float | None = None
    """The root of the difference of both squares, with its sign: plus is worse."""
    lower: float | None = None
    """Lower end of its 95 % interval."""
    upper: float | None = None


class EvaluationReport(Document):
    """Challenger, champion and naive baseline on the same holdout rows."""

    format: int = 1
    model: str
    run_id: str
    fingerprint: str
    created_at: datetime
    problem: str
    metric: str
    """The decision metric."""
    split: SplitUsed
    holdout: Holdout
    challenger: Scores
    baseline: Scores
    champion: Opponent | None
    """What served when the versions were scored; None when nothing did."""
    best: Opponent | None
    """The best of the last ten champions, unless it is the champion itself."""
    slices: tuple[SliceScores, ...]
    fairness: tuple[Fairness, ...]
    against_baseline: Comparison | None = None
    """The challenger minus the naive baseline. Null where there is no interval, and in a report
    from before there was one."""

    calibration: Calibration | None = None
    """Null where no rule asks for it, and in a report from before there was one."""

    windows: tuple[WindowScores, ...] = ()
    """The periods before the holdout, the newest first; none where the recipe is judged on the
    holdout alone."""

    tried: Try | None = None
    """Null in a report from before tries were counted: then it is the first."""

    @property
    def opponents(self) -> tuple[tuple[str, Opponent], ...]:
        """The champion and the best of the last ten, where there are, by `champion` and `best`."""
        known = (("champion", self.champion), ("best", self.best))
        return tuple((which, opponent) for which, opponent in known if opponent is not None)

    @property
    def judged_score(self) -> JudgedScore | None:
        """What is kept of the score with a promotion; None where a part of it is missing."""
        value, baseline = (
            scores.metrics.get(self.metric) for scores in (self.challenger, self.baseline)
        )
        error = self.challenger.standard_error
        if value is None or baseline is None or error is None:
            return None
        return JudgedScore(
            metric=self.metric,
            value=value,
            standard_error=error,
            baseline=baseline,
            rows=self.holdout.rows,
        )


def undefined_words(scores: Scores, metric: str) -> str | None:
    """Return that a metric is not defined and why; None where no reason is known."""
    reason = scores.undefined.get(metric)
    return reason and f"{metric_name(metric)} is not defined: {truncate(reason, 200)}"
