"""Which rule a gate's result is of and what it judged, and the title that is shown for it.

A decision asks for the rule, never for the title: titles name slices and columns, which come from
the data.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from include.retraining.formatting.numbers import metric_name
from include.retraining.formatting.text import truncate

NAME_LENGTH = 80
OPPONENTS = {"champion": "champion", "best": "best of the last ten"}
"""Whom a challenger is compared with, in words."""


class Rule(StrEnum):
    """A rule of the gate, and what the subject of its results is where it has one."""

    DECISION_METRIC = "decision_metric"
    METRIC_RANGES = "metric_ranges"
    """Of the policy's limits, and of the scores of challenger and naive baseline."""
    SAME_ROWS = "same_rows"
    HOLDOUT_ROWS = "holdout_rows"
    NO_LEAK = "no_leak"
    NEW_VERSION = "new_version"
    MINIMUM = "minimum"
    """Of a metric."""
    BASELINE = "baseline"
    CHAMPION_SCORE = "champion_score"
    """The champion scores about what it did when it was judged."""
    OPPONENT = "opponent"
    """Of `champion` or `best`, as the two rules below."""
    OPPONENT_RANGES = "opponent_ranges"
    CALIBRATION = "calibration"
    BASELINE_WINDOWS = "baseline_windows"
    """The periods before the holdout together, against the naive baseline."""
    POOLED_WINDOWS = "pooled_windows"
    """The same, of `champion` or `best`, as the rule below."""
    WORST_WINDOW = "worst_window"
    """Each period by itself, the holdout included."""
    SLICE_COVERAGE = "slice_coverage"
    """Whether a column, or one slice of it, could be judged at all."""
    SLICE_MINIMUM = "slice_minimum"
    """Of a column and a value, as the three rules below."""
    SLICE_DROP = "slice_drop"
    """The challenger's score is not much below the champion's."""
    SLICE_RANGE = "slice_range"
    SLICE_CHAMPION_RANGE = "slice_champion_range"
    DISPARATE_IMPACT = "disparate_impact"
    """Of a protected attribute, as the three rules below."""
    EQUALIZED_ODDS = "equalized_odds"
    FAIRNESS_COVERAGE = "fairness_coverage"
    SMALL_GROUP = "small_group"
    LATENCY = "latency"
    MODEL_SIZE = "model_size"
    UNKNOWN = "unknown"
    """Only of a stored result from before results named their rule, where no title fits."""


NEEDS_CHAMPION = frozenset({
    Rule.CHAMPION_SCORE,
    Rule.OPPONENT,
    Rule.OPPONENT_RANGES,
    Rule.CALIBRATION,
    Rule.POOLED_WINDOWS,
    Rule.WORST_WINDOW,
    Rule.SLICE_DROP,
    Rule.SLICE_CHAMPION_RANGE,
})
"""The rules that compare with a champion of now or before."""


OF_OPPONENTS = frozenset({
    Rule.OPPONENT,
    Rule.OPPONENT_RANGES,
    Rule.POOLED_WINDOWS,
    Rule.WORST_WINDOW,
})
TITLES = {
    Rule.DECISION_METRIC: "decision metric",
    Rule.METRIC_RANGES: "metric ranges",
    Rule.SAME_ROWS: "same rows",
    Rule.HOLDOUT_ROWS: "holdout rows",
    Rule.NO_LEAK: "no leak",
    Rule.NEW_VERSION: "new version",
    Rule.MINIMUM: "minimum {}",
    Rule.BASELINE: "better than baseline",
    Rule.CHAMPION_SCORE: "against the champion's own score",
    Rule.OPPONENT_RANGES: "against {}, range",
    Rule.OPPONENT: "against {}",
    Rule.CALIBRATION: "calibration",
    Rule.BASELINE_WINDOWS: "better than baseline in earlier windows",
    Rule.POOLED_WINDOWS: "earlier windows against {}",
    Rule.WORST_WINDOW: "worst window against {}",
    Rule.SLICE_CHAMPION_RANGE: "slice {}, range against champion",
    Rule.SLICE_DROP: "slice {} against champion",
    Rule.SLICE_RANGE: "slice {}, range",
    Rule.SLICE_MINIMUM: "slice {}",
    Rule.SLICE_COVERAGE: "slice {}",
    Rule.EQUALIZED_ODDS: "fairness {}, equalised odds",
    Rule.SMALL_GROUP: "fairness {}, a small group",
    Rule.DISPARATE_IMPACT: "fairness {}",
    Rule.FAIRNESS_COVERAGE: "fairness {}",
    Rule.LATENCY: "latency",
    Rule.MODEL_SIZE: "model size",
    Rule.UNKNOWN: "{}",
}
"""The titles, with `{}` for the subject; of those that begin alike, the longest first."""


class Gate(NamedTuple):
    """One rule, applied to one subject."""

    rule: Rule
    subject: tuple[str, ...] = ()
    """As the rule says: a metric, an opponent, a column and a value, an attribute, or nothing."""

    @property
    def title(self) -> str:
        """The title as shown: `minimum accuracy`, `against champion`, `slice region=north`."""
        return TITLES[self.rule].format(self._subject_words())

    def _subject_words(self) -> str:
        words = subject_words(self.subject)
        if self.rule is Rule.MINIMUM:
            return metric_name(words)
        return OPPONENTS[words] if self.rule in OF_OPPONENTS else words


def subject_words(subject: tuple[str, ...]) -> str:
    """Return a subject as it is shown, each part cut to `NAME_LENGTH`: `region=north`."""
    return "=".join(truncate(part, NAME_LENGTH) for part in subject)
