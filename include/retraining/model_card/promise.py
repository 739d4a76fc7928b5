"""What the champion scored on the run's delivery, beside what its gate had promised."""

from __future__ import annotations

from include.retraining.exceptions import EvidenceError
from include.retraining.formatting.markdown import code, escaped
from include.retraining.formatting.numbers import metric_name, metric_value, number
from include.retraining.monitoring.grade import Grade, Interval
from include.retraining.runs.manifest import RunManifest
from include.retraining.store.layout import grade_key
from include.retraining.store.object_store import Store


def promise_line(store: Store, run: RunManifest) -> str:
    """Return what the champion kept of its promise, in Markdown; empty without a grade.

    The champion is graded beside the training, so that the grade may come after the card.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    if run.champion is None:
        return ""
    key = grade_key(run.model, "delivery", run.run, run.champion.version)
    data = store.read_if_present(key)
    if data is None:
        return ""
    try:
        return _words(Grade.from_bytes(data, where=key))
    except EvidenceError as error:  # the card of the challenger does not depend on it
        return escaped(f"The champion's grade cannot be read: {error}.")


def _words(grade: Grade) -> str:
    champion = f"the champion, version {code(grade.version)}"
    if grade.score is None:
        return f"{champion.capitalize()}, cannot be graded: {escaped(grade.cannot_judge or '')}."
    text = (
        f"On the {grade.rows:,} rows of this delivery that it never saw, {champion}, scores "
        f"{metric_name(grade.metric)} {_range(grade, grade.score)}"
    )
    if grade.promised is None:
        return f"{text}; no gate had promised a score."
    answer = "worse than promised" if grade.is_worse else "no worse than chance explains"
    return f"{text}; its gate had promised {_range(grade, grade.promised.score)}: {answer}."


def _range(grade: Grade, score: Interval) -> str:
    value = metric_value(grade.metric, score.value)
    ends = sorted(metric_value(grade.metric, one) for one in (score.low, score.high))
    return f"{number(value)} ({number(ends[0])} to {number(ends[1])})"
