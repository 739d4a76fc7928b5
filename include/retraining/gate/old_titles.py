"""Reading a gate's result from before results named their rule: the rule follows from the title.

The one place that reads a title. A slice's value is whatever the data has, so it may end like the
title of another rule; what a decision may excuse is therefore never concluded from a title alone.
"""

from __future__ import annotations

from include.retraining.config.metric_ranges import METRICS
from include.retraining.formatting.numbers import metric_name
from include.retraining.gate.identity import OF_OPPONENTS, OPPONENTS, TITLES, Gate, Rule

_OF_A_SLICE = frozenset({
    Rule.SLICE_CHAMPION_RANGE,
    Rule.SLICE_DROP,
    Rule.SLICE_RANGE,
    Rule.SLICE_MINIMUM,
})
_OF_A_SLICE_AND_CHAMPION = frozenset({Rule.SLICE_CHAMPION_RANGE, Rule.SLICE_DROP})
_METRICS_BY_NAME = {
    metric_name(metric): metric for metrics in METRICS.values() for metric in metrics
}
_OPPONENTS_BY_NAME = {name: opponent for opponent, name in OPPONENTS.items()}


def gate_of(title: str, *, is_refused_with_limit: bool, is_judged: bool) -> Gate:
    """Return the gate that a stored title is of: the first in `TITLES` that it may be.

    Args:
        title: for example `slice region=north against champion`.
        is_refused_with_limit: whether the answer is CANNOT JUDGE although there was a limit. Then
            the challenger's own number was missing and no champion was the matter: this is what a
            slice's minimum says, and a slice may be called `north against champion`.
        is_judged: whether the answer is another than NOT JUDGED: a slice that is too small has the
            title of its minimum.
    """
    fitting = (
        Gate(rule, _subject(rule, words))
        for rule, template in TITLES.items()
        if (words := _subject_words(title, template)) is not None
        and not (rule in _OF_A_SLICE and "=" not in words)
        and not (rule in _OF_A_SLICE_AND_CHAMPION and is_refused_with_limit)
        and not (rule is Rule.SLICE_MINIMUM and not is_judged)
        and not (rule in OF_OPPONENTS and words not in _OPPONENTS_BY_NAME)
    )
    return next(fitting)


def _subject_words(title: str, template: str) -> str | None:
    """Return what stands for the subject in a title, or None when it is not of this template."""
    before, has_subject, after = template.partition("{}")
    if not has_subject:
        return "" if title == template else None
    is_of_template = title.startswith(before) and title.endswith(after)
    return title[len(before) : len(title) - len(after)] if is_of_template else None


def _subject(rule: Rule, words: str) -> tuple[str, ...]:
    if rule in _OF_A_SLICE or (rule is Rule.SLICE_COVERAGE and "=" in words):
        column, _, value = words.partition("=")
        return (column, value)
    if rule is Rule.MINIMUM:
        return (_METRICS_BY_NAME.get(words, words),)
    if rule in OF_OPPONENTS:
        return (_OPPONENTS_BY_NAME[words],)
    return (words,) if words else ()
