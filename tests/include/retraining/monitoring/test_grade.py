"""The grades of a model: what they say of a promise, and how they are kept and read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.retraining.monitoring.grade import (
    Grade,
    Interval,
    Promise,
    Source,
    read_grades,
    write_grade,
)
from include.retraining.store.object_store import Store

PROMISE = Promise(
    score=Interval.around(0.85, 0.01, 2_000), baseline=0.5, run_id="r", report_digest=None
)


def grade(score: Interval | None, **fields: Any) -> Grade:
    """Return a grade of the toy's first version."""
    return Grade.model_validate({
        "model": "toy",
        "version": "0123456789abcdef",
        "generation": 1,
        "source": "delivery",
        "window": "20261129T000000-run-1",
        "date": "2026-11-29",
        "judged_at": datetime(2026, 11, 29, tzinfo=UTC),
        "metric": "roc_auc",
        "rows": score.rows if score else 0,
        "score": score,
        "cannot_judge": None if score else "it has seen all rows",
        "promised": PROMISE,
        **fields,
    })


def test_an_interval_is_the_gate_s() -> None:
    """A 95 % interval reaches 1.96 standard errors to each side."""
    interval = Interval.around(0.8, 0.1, 50)
    assert (interval.low, interval.high) == pytest.approx((0.604, 0.996), abs=1e-4)


@pytest.mark.parametrize(
    ("value", "error", "is_worse"),
    [
        (0.90, 0.01, False),
        (0.81, 0.01, False),  # 2.8 errors of the difference
        (0.80, 0.01, True),  # 3.5 of them
        (0.80, 0.02, False),  # 2.2 of them
    ],
)
def test_worse_is_more_than_chance_explains(value: float, error: float, is_worse: bool) -> None:
    """A score is worse than promised from 3.09 errors of the difference on."""
    assert grade(Interval.around(value, error, 2_000)).is_worse is is_worse


@pytest.mark.parametrize(("value", "is_worse"), [(0.82, False), (0.81, True)])
def test_a_tenth_of_the_lead_may_be_lost_however_many_rows(value: float, is_worse: bool) -> None:
    """Of a lead of 0.35, a loss of 0.03 is tolerated with a million rows, one of 0.04 is not."""
    promise = PROMISE.model_copy(update={"score": Interval.around(0.85, 0.0002, 1_000_000)})
    later = grade(Interval.around(value, 0.0002, 1_000_000), promised=promise)
    assert later.is_worse is is_worse


@pytest.mark.parametrize("missing", ["score", "promised"])
def test_without_a_score_or_a_promise_nothing_is_worse_or_healthy(missing: str) -> None:
    """What cannot be judged is neither: it is None."""
    judged = grade(Interval.around(0.4, 0.01, 2_000))
    unjudged = judged.model_copy(update={missing: None})
    assert (judged.is_worse, unjudged.is_worse, unjudged.tolerated) == (True, None, None)


def test_grades_are_read_in_order_and_written_once(store: Store) -> None:
    """The first grade of a window stays, and each source's windows are in order."""
    assert read_grades(store, "toy") == []
    sources: tuple[Source, ...] = ("labels", "delivery")
    for source in sources:
        for window in ("2026-11-02", "2026-11-01"):
            write_grade(store, grade(None, source=source, window=window))
    first = write_grade(store, grade(Interval.around(0.8, 0.1, 50), window="2026-11-02"))
    assert first.score is None
    order = [(one.source, one.window) for one in read_grades(store, "toy")]
    assert order == [
        ("delivery", "2026-11-01"),
        ("delivery", "2026-11-02"),
        ("labels", "2026-11-01"),
        ("labels", "2026-11-02"),
    ]
    assert len(read_grades(store, "toy", sources=["labels"])) == 2
    assert read_grades(store, "toy", since=datetime.now(UTC) + timedelta(days=1)) == []
    assert len(read_grades(store, "toy", since=datetime.now(UTC) - timedelta(days=1))) == 4
