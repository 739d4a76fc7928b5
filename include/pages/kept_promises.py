"""What each champion scored on labels of later, beside what its gate had promised.

Values are as they are shown: an error is positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import quote

from markupsafe import Markup

from include.pages.charts import Event, Line, Mark, chart
from include.retraining.exceptions import RetrainingError
from include.retraining.formatting.numbers import metric_name, metric_value, number
from include.retraining.history.overview import read_all, sentence_of
from include.retraining.monitoring.grade import Grade, Interval
from include.retraining.store.layout import grades_folder
from include.retraining.store.object_store import ObjectInfo, Store

GRADES = 50
"""How many grades a page shows."""


@dataclass(frozen=True)
class KeptPromises:
    """The newest grades of a model, drawn and in numbers."""

    grades: Sequence[Grade]
    """Oldest first; of deliveries."""
    chart: Markup
    metric: str
    problem: str | None = None
    """Why they cannot be read."""


def kept_promises(store: Store, model: str, root: str) -> KeptPromises:
    """Return the newest grades of a model.

    Args:
        store: best a `CachingStore`.
        model: its name.
        root: the path below which our pages are.
    """

    def read(info: ObjectInfo) -> Grade:
        return Grade.from_bytes(store.read(info.key), where=info.key)

    try:
        grades = read_all(read, store.children(grades_folder(model, "delivery"))[1][-GRADES:])
    except RetrainingError as error:  # the rest of the page does not depend on them
        return KeptPromises((), Markup(""), "", sentence_of(error))
    metric = grades[-1].metric if grades else ""
    scored = [one for one in grades if one.score is not None and one.metric == metric]
    return KeptPromises(grades, _chart(scored, root), metric_name(metric))


def _chart(grades: Sequence[Grade], root: str) -> Markup:
    kept, promised = list[Mark](), list[Mark]()
    for place, grade in enumerate(grades):
        if grade.score is not None:
            kept.append(_mark(grade, grade.score, place, "scored", root))
        if grade.promised is not None:
            promised.append(_mark(grade, grade.promised.score, place, "promised", None))
    changes = [
        Event("promoted", place, f"from here on version {later.version} was graded")
        for place, (earlier, later) in enumerate(pairwise(grades), start=1)
        if earlier.generation != later.generation
    ]
    lines = (Line("promised", promised, is_limit=True), Line("challenger", kept))
    title = "What the champion scored on rows that it never saw, beside what its gate promised"
    return chart(lines, [grade.date for grade in grades], title, changes)


def _mark(grade: Grade, score: Interval, place: int, word: str, root: str | None) -> Mark:
    value, low, high = (
        metric_value(grade.metric, one) for one in (score.value, score.low, score.high)
    )
    run = quote(grade.window, safe="")
    return Mark(
        place,
        value,
        f"{word} {number(value)} by version {grade.version} on {score.rows:,} rows, {grade.date}",
        lower=min(low, high) if root is not None else None,
        upper=max(low, high) if root is not None else None,
        link=None if root is None else f"{root}/models/{grade.model}/runs/{run}",
    )
