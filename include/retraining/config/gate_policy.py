"""The section `gates` of a model's YAML: the rules that a challenger must pass.

Light on purpose: a DAG file imports this at every parse, so nothing but pydantic is imported here.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import Field, model_validator

from include.retraining.config.base import Count, Limit, Name, Section
from include.retraining.config.own_metric import MetricName, OwnMetric
from include.retraining.config.sections import ColumnName
from include.retraining.documents import canonical_json

_SINCE = ("own_metrics", "min_days_between_promotions", "calibration")
"""Rules that came later: a policy without them keeps the digest that it had."""


class ChampionGate(Section):
    """How the challenger must compare with the champion."""

    margin: Annotated[Limit, Field(ge=0)] | None = None
    """How much lower the decision metric may be: the paired 95 % bound of the difference must lie
    above minus this margin. null: 2.8 standard errors of the champion's own score on the
    holdout, at most half of its lead over the naive baseline (docs/margins.md). 0 asks to be
    better."""


class CalibrationGate(Section):
    """How much further from the truth the challenger's probabilities may be than the champion's."""

    max_worse: Annotated[Limit, Field(ge=0, lt=1)] = 0.02
    """By how much, as a probability, the calibration error may be larger: the root of the
    difference of both squares. The challenger is refused when it is larger by more and the paired
    95 % interval lies above 0, so that it is more than chance."""


class SliceGate(Section):
    """A subgroup that is scored on its own."""

    column: ColumnName
    """The column whose values are the slices. Messages and records name them (`channel=phone`), so
    a protected column is refused here."""
    minimum: Limit | None = None
    """The least value of the decision metric in each slice, whatever the champion has and however
    few rows it is measured by: an absolute floor. Give this, `max_drop` or both."""
    max_drop: Annotated[Limit, Field(ge=0)] | None = None
    """How far below the champion the decision metric may lie in each slice. A slice refuses when it
    lies further below and that is more than chance explains: its paired interval, widened for the
    number of slices, ends below 0."""
    may_judge_nobody: bool = False
    """Whether the rule may pass when it judged no slice at all, because each has fewer rows than
    `min_group_rows`; without it, that cannot be judged."""

    @model_validator(mode="after")
    def _has_a_rule(self) -> SliceGate:
        if self.minimum is None and self.max_drop is None:
            raise ValueError("a slice needs `minimum` or `max_drop`")
        return self


class FairnessGate(Section):
    """Limits on how differently the groups of a protected attribute are treated."""

    attribute: Name
    """The name of a protected attribute."""
    min_disparate_impact: Annotated[Limit, Field(gt=0, le=1)] | None = None
    """The least that the lowest selection rate of a group, divided by the highest, may be; 0.8 is
    the four-fifths rule. Give this, `max_equalized_odds_difference` or both."""
    max_equalized_odds_difference: Annotated[Limit, Field(ge=0, le=1)] | None = None
    """The most that the groups may differ in true or in false positive rate."""
    may_judge_nobody: bool = False
    """Whether the rule may pass when it compared no groups, because fewer than two have
    `min_group_rows` rows; without it, that cannot be judged."""

    @model_validator(mode="after")
    def _has_a_rule(self) -> FairnessGate:
        if self.min_disparate_impact is None and self.max_equalized_odds_difference is None:
            raise ValueError("give `min_disparate_impact` or `max_equalized_odds_difference`")
        return self


class Limits(Section):
    """What a model may cost to serve."""

    latency_ms_per_1000_rows: Annotated[Limit, Field(gt=0)] | None = None
    """The most milliseconds to predict a batch of 1,000 rows (median); null: no limit."""
    model_mb: Annotated[Limit, Field(gt=0)] | None = None
    """The most megabytes (10^6 bytes) of the saved model; null: no limit."""


class GatePolicy(Section):
    """The rules a challenger must pass. That it beats the naive baseline is always one of them."""

    metric: str
    """The decision metric: the name of a scikit-learn scorer that fits the problem, or of one of
    `own_metrics`. Greater is better for each of them: errors are negated (`neg_…`). `recall` and
    `precision` see one kind of error only and cannot decide; they may stand in `minimum` and
    `report`."""
    report: tuple[str, ...] = ()
    """Other metrics to report, without a rule."""
    minimum: dict[str, Limit] = Field(default_factory=dict)
    """The least value per metric."""
    own_metrics: dict[MetricName, OwnMetric] = Field(default_factory=dict)
    """Metrics of the team, by name, for `metric`, `report` and `minimum` (docs/own-metrics.md)."""
    min_holdout_rows: Count = 100
    """Fewer rows in the holdout cannot be judged."""
    min_group_rows: Count = 30
    """A slice or group with fewer rows is shown as not judged. A rule that so judges nobody at all
    is no pass, unless it says `may_judge_nobody`."""
    champion: ChampionGate = ChampionGate()
    """Against the champion, and against the best of the last ten champions."""
    slices: tuple[SliceGate, ...] = ()
    """Subgroups scored on their own."""
    fairness: tuple[FairnessGate, ...] = ()
    """Limits per protected attribute, for a binary problem."""
    calibration: CalibrationGate | None = None
    """Against the champion, by the probabilities of a binary or multiclass problem; null: no such
    rule (docs/calibration.md)."""
    limits: Limits = Limits()
    """What the model may cost to serve."""
    min_days_between_promotions: Annotated[float, Field(gt=0, le=366)] | None = None
    """The least days from a promotion to the next one; null: none. Earlier runs train nothing and
    end as `too_soon`. They use up no flag: the first run after that takes the newest delivery. A
    rollback ends the wait; `force_retrain` with a reason overrides it. They are counted from the
    second of the promotion to the moment at which a run is planned: for a weekly schedule ask for
    6 days, as the next run comes a few minutes before 7 are over."""
    on_rejection: Literal["fail", "succeed"] = "fail"
    """Whether a run whose challenger is refused ends red (`fail`) or green (`succeed`)."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric to compute, the decision metric first."""
        return tuple(dict.fromkeys((self.metric, *self.minimum, *self.report)))

    @property
    def scorer_modules(self) -> tuple[str, ...]:
        """The files beside the models that hold the scorers of the own metrics, sorted."""
        return tuple(sorted({metric.module for metric in self.own_metrics.values()}))

    @property
    def digest(self) -> str:
        """The SHA-256 of the rules; without those of `_SINCE`, as before there were any."""
        unused = {name for name in _SINCE if not getattr(self, name)}
        rules = self.model_dump(mode="json", exclude=unused)
        return hashlib.sha256(canonical_json(rules)).hexdigest()
