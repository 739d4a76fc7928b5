"""Whether the champion scores worse than its gate promised, lastingly, by all its grades."""

from __future__ import annotations

from collections.abc import Iterator

from include.retraining.monitoring.grade import SOURCES, Grade, Source
from include.retraining.monitoring.windows import Judgement, State, grade_windows, judge
from include.retraining.registry.entry import PromotionEntry
from include.retraining.store.layout import grades_folder
from include.retraining.store.object_store import Store

IN_A_ROW = 2
"""So many grades that are worse than promised, one after another, are a decay."""
MAX_GRADES = 50
"""How many grades are read at most to find one that could be judged."""


def judge_decay(
    store: Store, champion: PromotionEntry, *, beyond: int = IN_A_ROW, of_last: int = IN_A_ROW
) -> Judgement:
    """Return whether a champion has decayed, by the labels of any source.

    Deliveries and labels that arrive later are judged apart: their windows are of other sizes. One
    source that shows a decay decides; one that cannot be judged is made up for by the other.

    Args:
        store: with the grades.
        champion: the newest entry of its promotion log; grades of before it do not count.
        beyond: how many of the last grades must be worse than promised, the newest among them.
        of_last: how many are considered.

    Raises:
        EvidenceError: for a grade that cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    judgements = []
    for source in SOURCES:
        grades = list(_newest_grades(store, champion, source, of_last))[::-1]
        windows = grade_windows(grades, champion.generation)
        judgements.append(judge(windows, beyond=beyond, of_last=of_last))
    order = (State.DECAYED, State.HEALTHY, State.CANNOT_JUDGE)
    decisive = min(judgements, key=lambda one: order.index(one.state))
    seen = [one.seen_at for one in judgements if one.seen_at is not None]
    return Judgement(decisive.state, decisive.why, decisive.windows, max(seen, default=None))


def _newest_grades(
    store: Store, champion: PromotionEntry, source: Source, count: int
) -> Iterator[Grade]:
    """Yield a champion's last grades, the newest first, back to one that could be judged."""
    listed = store.children(grades_folder(champion.model, source))[1]
    ending = f"-{champion.version}.json"
    keys = sorted((info.key for info in listed if info.key.endswith(ending)), reverse=True)
    has_score = False
    for number, key in enumerate(keys[:MAX_GRADES], start=1):
        grade = Grade.from_bytes(store.read(key), where=key)
        yield grade
        has_score = has_score or grade.is_worse is not None
        if number >= count and has_score:
            return
