"""Whether several windows show a lasting change: k of the last n of them, and the newest.

One window beyond its limit is a bad day. Several are a change, but only while the newest is one of
them: what has passed needs no training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from include.retraining.formatting.numbers import metric_name, metric_value, number
from include.retraining.formatting.times import utc_minute
from include.retraining.monitoring.grade import Grade


class State(StrEnum):
    """What a series of windows shows."""

    HEALTHY = "healthy"
    DECAYED = "decayed"
    CANNOT_JUDGE = "CANNOT JUDGE"


@dataclass(frozen=True)
class Window:
    """One delivery or partition, as the monitoring judged it."""

    name: str
    judged_at: datetime
    is_beyond: bool | None
    """Whether it is beyond its limit; None when it could not be judged."""
    evidence: str
    """What was measured, or why nothing could be, in a clause."""


@dataclass(frozen=True)
class Judgement:
    """What a series of windows shows, and by which of them."""

    state: State
    why: str
    """One sentence without an end."""
    windows: tuple[str, ...] = ()
    """The names of those beyond their limit, where they decide."""
    seen_at: datetime | None = None
    """When the newest window that could be judged was judged; None when none could."""


def judge(windows: Sequence[Window], *, beyond: int, of_last: int) -> Judgement:
    """Return what a series of windows shows.

    A window that could not be judged counts neither way. If it is the newest, or if what the last
    ones show does not suffice for an answer, the answer is CANNOT JUDGE, never "healthy".

    Args:
        windows: of one source, the newest last.
        beyond: how many of the last ones must be beyond their limit, the newest among them.
        of_last: how many are considered; at least `beyond`.
    """
    judged = [window for window in windows if window.is_beyond is not None]
    seen_at = judged[-1].judged_at if judged else None
    if not windows:
        return Judgement(State.CANNOT_JUDGE, "nothing has been graded yet")
    last, newest = windows[-of_last:], windows[-1]
    if newest.is_beyond is None:
        why = f"{newest.name}: {newest.evidence}"
        return Judgement(State.CANNOT_JUDGE, why, seen_at=seen_at)
    if not newest.is_beyond:
        why = f"{newest.name}: {newest.evidence}"
        return Judgement(State.HEALTHY, why, seen_at=seen_at)
    bad = [window for window in last if window.is_beyond]
    counted = f"{len(bad)} of the last {len(last)}"
    if len(bad) >= beyond:
        why = f"{counted}, the newest included: {'; '.join(_words(window) for window in bad)}"
        return Judgement(State.DECAYED, why, tuple(window.name for window in bad), seen_at)
    if sum(window.is_beyond is not None for window in last) < beyond:
        why = f"{counted}, of {beyond} that are needed: {_words(newest)}"
        return Judgement(State.CANNOT_JUDGE, why, seen_at=seen_at)
    why = f"{counted}, which is fewer than {beyond}: {_words(newest)}"
    return Judgement(State.HEALTHY, why, seen_at=seen_at)


def grade_windows(grades: Sequence[Grade], generation: int) -> list[Window]:
    """Return the windows of one champion's grades, in their order.

    Args:
        grades: of one source.
        generation: of the promotion log: what was graded before it is about another champion.
    """
    return [
        Window(
            name=grade.window,
            judged_at=grade.judged_at,
            is_beyond=grade.is_worse,
            evidence=_evidence(grade),
        )
        for grade in grades
        if grade.generation == generation
    ]


def _words(window: Window) -> str:
    return f"{window.name} at {utc_minute(window.judged_at)}, {window.evidence}"


def _evidence(grade: Grade) -> str:
    if grade.score is None:
        return grade.cannot_judge or "no score"
    score = f"{metric_name(grade.metric)} {_shown(grade, grade.score.value)}"
    if grade.promised is None:
        return f"{score}, and no gate had promised one"
    return f"{score}, promised {_shown(grade, grade.promised.score.value)}"


def _shown(grade: Grade, value: float) -> str:
    return number(metric_value(grade.metric, value))
