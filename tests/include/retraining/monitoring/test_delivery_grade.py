"""The champion is graded by each delivery, on rows that it has never seen."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
from sklearn.metrics import accuracy_score

from include.retraining.data.split import holdout_mask
from include.retraining.monitoring.delivery_grade import grade_champion
from include.retraining.monitoring.grade import is_graded, read_grades
from include.retraining.privacy.forget import forget
from include.retraining.registry.promotion import Registry
from include.retraining.registry.versions import load_estimator, read_version
from tests.support.toy_models import Toy, make_frame

MakeToy = Callable[..., Toy]
BY_TIME = {"data": {"split": {"by": "time", "column": "day", "holdout_days": 20}}}


def later(rows: int = 600, *, seed: int = 1, signal: float = 2.0, days: int = 400) -> pd.DataFrame:
    """Rows of other keys, which came later; with a negative signal the relation is turned over."""
    frame = make_frame("binary", rows, seed=seed, signal=signal)
    moved = pd.to_datetime(frame["day"]) + pd.Timedelta(days=days)
    return frame.assign(id=frame["id"] + 100_000 * seed, day=moved.dt.strftime("%Y-%m-%d"))


def promoted(toy: Toy) -> str:
    """Train the toy on its first delivery, promote the version and return its name."""
    job, report = toy.run()
    toy.promote(job, report)
    return job.manifest.version


def test_it_is_scored_on_the_new_rows_of_its_holdout_side(make_toy: MakeToy) -> None:
    """The score is scikit-learn's on the new keys alone, beside what the gate had measured."""
    toy = make_toy()
    job, report = toy.run()
    toy.promote(job, report)
    new = later()
    toy.deliver(pd.concat([make_frame("binary"), new], ignore_index=True))
    grade = grade_champion(toy.plan())
    assert grade is not None
    assert grade.score is not None
    assert grade.promised is not None
    rows = new[holdout_mask(new, toy.config)]
    version = read_version(toy.store, toy.name, job.manifest.version)
    predicted = load_estimator(toy.store, version, ()).predict(rows[["a", "b"]])
    assert grade.score.value == pytest.approx(accuracy_score(rows["y"], predicted))
    assert (grade.rows, grade.seen_rows) == (len(rows), 1_000 - len(rows))
    assert grade.promised.score.value == report.challenger.metrics["accuracy"]
    assert grade.promised.report_digest == report.content_digest
    assert (grade.version, grade.generation, grade.is_worse) == (version.version, 1, False)


def test_rows_of_keys_to_forget_are_not_scored(make_toy: MakeToy) -> None:
    """A new row of such a key is left out, and does not count as one that the version had seen."""
    toy = make_toy()
    promoted(toy)
    new = later()
    toy.deliver(new)
    scored = new[holdout_mask(new, toy.config)]
    forget(toy.store, toy.name, [str(scored["id"].iloc[0])], actor="ada", reason="asked to")
    grade = grade_champion(toy.plan())
    assert grade is not None
    assert (grade.rows, grade.seen_rows) == (len(scored) - 1, len(new) - len(scored))


def test_of_a_split_by_time_only_what_came_after_is_new(make_toy: MakeToy) -> None:
    """Neither the rows of the training nor those that the gate judged it on are scored again."""
    toy = make_toy(**BY_TIME)
    promoted(toy)
    toy.deliver(pd.concat([make_frame("binary"), later()], ignore_index=True))
    grade = grade_champion(toy.plan())
    assert grade is not None
    assert (grade.cannot_judge, grade.rows, grade.seen_rows) == (None, 600, 400)


def test_a_relation_that_turned_over_is_worse_than_promised(make_toy: MakeToy) -> None:
    """A version whose relation no longer holds is found, although nothing is trained."""
    toy = make_toy()
    promoted(toy)
    toy.deliver(later(signal=-2.0))
    grade = grade_champion(toy.plan())
    assert grade is not None
    assert grade.is_worse


def test_a_rollback_keeps_the_promise_of_the_promotion(make_toy: MakeToy) -> None:
    """A version that serves again is compared with what its own gate had measured."""
    toy = make_toy()
    first = promoted(toy)
    toy.deliver(later())
    promoted(toy)
    Registry(toy.store, toy.name).rollback(first, actor="ann", reason="planted")
    toy.deliver(later(seed=2))
    grade = grade_champion(toy.plan())
    assert grade is not None
    assert grade.promised is not None
    assert (grade.version, grade.generation, grade.promised.run_id) == (first, 3, "manual__1")


def test_nothing_is_graded_without_a_champion_or_news(make_toy: MakeToy) -> None:
    """No champion, its own delivery and one that was graded before are no grade."""
    toy = make_toy()
    assert grade_champion(toy.plan()) is None
    promoted(toy)
    assert grade_champion(toy.plan(force=True)) is None
    toy.deliver(later())
    assert grade_champion(toy.plan()) is not None
    assert grade_champion(toy.plan(force=True)) is None
    assert len(read_grades(toy.store, toy.name)) == 1


def test_a_run_with_its_grade_has_nothing_to_grade(make_toy: MakeToy) -> None:
    """A run without a champion, and one whose grade is there, take no job to find that out."""
    toy = make_toy()
    assert is_graded(toy.store, toy.plan().manifest)
    promoted(toy)
    toy.deliver(later())
    job = toy.plan()
    assert not is_graded(toy.store, job.manifest)
    grade_champion(job)
    assert is_graded(toy.store, job.manifest)


def test_too_few_new_rows_cannot_be_judged(make_toy: MakeToy) -> None:
    """The grade says how many rows there were and how many it takes, and has no score."""
    toy = make_toy()
    promoted(toy)
    toy.deliver(pd.concat([make_frame("binary"), later(10)], ignore_index=True))
    grade = grade_champion(toy.plan())
    assert grade is not None
    assert grade.cannot_judge is not None
    assert "new to it, at least 20 are needed (gates.min_holdout_rows)" in grade.cannot_judge
    assert (grade.score, grade.is_worse) == (None, None)


@pytest.mark.fault("W04")
def test_without_the_rows_it_was_judged_on_it_cannot_be_judged(make_toy: MakeToy) -> None:
    """Without its gate's predictions it might be scored on rows that it was chosen by (W04)."""
    toy = make_toy()
    job, report = toy.run()
    toy.promote(job, report)
    toy.store.delete(job.paths.predictions)
    toy.deliver(later())
    grade = grade_champion(toy.plan())
    assert grade is not None
    assert grade.cannot_judge is not None
    assert "predictions.parquet, which is missing" in grade.cannot_judge


@pytest.mark.fault("W04")
def test_by_another_split_it_cannot_be_judged(make_toy: MakeToy) -> None:
    """Of a version that was trained by time, a split by key cannot say what it saw (W04)."""
    toy = make_toy(**BY_TIME)
    promoted(toy)
    toy.changes.clear()
    toy.deliver(later())
    grade = grade_champion(toy.plan())
    assert grade is not None
    assert grade.cannot_judge is not None
    assert "trained on a split by time" in grade.cannot_judge
