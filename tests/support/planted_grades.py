"""Grades of a champion, as its deliveries would leave them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.retraining.monitoring.grade import Grade, Interval, Promise, Source, write_grade
from include.retraining.registry.entry import PromotionEntry
from include.retraining.store.object_store import Store

FIRST = datetime(2026, 2, 1, 6, tzinfo=UTC)
ERROR = 0.01


def plant_grades(
    store: Store,
    champion: PromotionEntry,
    *scores: float | None,
    source: Source = "delivery",
    promised: float | None = 0.85,
    first: int = 0,
) -> list[Grade]:
    """Write a grade for each score, a day apart; None is one that cannot be judged."""
    promise = promised and Promise(
        score=Interval.around(promised, ERROR, 2_000),
        baseline=0.5,
        run_id=champion.run_id,
        report_digest=None,
    )
    grades = []
    for number, score in enumerate(scores, start=first):
        day = FIRST + timedelta(days=number)
        grade = Grade(
            model=champion.model,
            version=champion.version,
            generation=champion.generation,
            source=source,
            window=f"{day:%Y%m%dT%H%M%S}-run-{number}",
            date=f"{day:%Y-%m-%d}",
            judged_at=day,
            metric="roc_auc",
            rows=0 if score is None else 2_000,
            score=None if score is None else Interval.around(score, ERROR, 2_000),
            cannot_judge="3 rows are new to it" if score is None else None,
            promised=promise or None,
        )
        grades.append(write_grade(store, grade))
    return grades
