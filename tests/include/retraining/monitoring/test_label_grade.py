"""What was predicted is graded by labels that arrive later, once they are old enough."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, r2_score

from include.retraining.exceptions import StorageError
from include.retraining.monitoring import label_windows
from include.retraining.monitoring.grade import Grade, read_grades
from include.retraining.monitoring.label_grade import with_grades
from include.retraining.monitoring.label_windows import ARRIVAL_DAYS, REVIEW_DAYS
from include.retraining.scoring.result import ScoreResult
from include.retraining.scoring.score import score
from include.retraining.serving.version import load_version
from include.retraining.store.layout import grade_key, review_key
from tests.support.scored_toys import TODAY, ScoringToy, day, make_scoring_toy, rows_to_score
from tests.support.toy_models import Toy, make_frame

MakeToy = Callable[..., Toy]
DUE = TODAY + timedelta(days=14)
LABELS = {"location": "landing/labels/{date}", "delay": "14d"}


def labelled_toy(make_toy: MakeToy, problem: str = "binary", **labels: Any) -> ScoringToy:
    """A toy whose labels arrive in a folder of each day."""
    return make_scoring_toy(make_toy, problem, labels={**LABELS, **labels})


def labels_of_rows(problem: str = "binary", *, seed: int = 9, rows: int = 60) -> pd.DataFrame:
    """The labels of `rows_to_score`, by key."""
    frame = make_frame(problem, rows, seed=seed)
    return frame.assign(id=frame["id"] + 10_000)[["id", "y"]]


def land_labels(toy: ScoringToy, when: date, labels: pd.DataFrame, *, as_csv: bool = False) -> None:
    """Deliver labels on a day, flag last."""
    folder = f"landing/labels/{when}"
    if as_csv:
        toy.store.write(f"{folder}/labels.csv", labels.to_csv(index=False).encode())
    else:
        toy.store.write(f"{folder}/labels.parquet", labels.to_parquet(index=False))
    toy.store.write(f"{folder}/_SUCCESS", b"")


def scored(make_toy: MakeToy, problem: str = "binary", **labels: Any) -> ScoringToy:
    """A toy whose champion scored the 60 rows of the tests' today."""
    toy = labelled_toy(make_toy, problem, **labels)
    toy.promote(1)
    toy.land(0, rows_to_score())
    toy.run()
    return toy


def run_on(toy: ScoringToy, when: date) -> ScoreResult:
    """Run the scoring on a day on which there is something to do."""
    result = toy.run(when)
    assert result is not None
    assert result.ungraded == ()
    return result


def graded(toy: ScoringToy, when: date = DUE) -> Grade:
    """Run the scoring on a day and return the one grade that it writes."""
    (key,) = run_on(toy, when).graded
    return Grade.from_bytes(toy.store.read(key), where=key)


def joined(toy: ScoringToy, labels: pd.DataFrame) -> pd.DataFrame:
    """The scores of the tests' today with their labels, joined by pandas."""
    return toy.table(0).merge(labels, on="id")


@pytest.mark.parametrize(
    ("problem", "metric"),
    [("binary", accuracy_score), ("multiclass", accuracy_score), ("regression", r2_score)],
)
def test_predictions_are_graded_by_key_once_their_labels_are_old_enough(
    make_toy: MakeToy, problem: str, metric: Callable[..., float]
) -> None:
    """The score is scikit-learn's on predictions and labels of the same keys."""
    toy = scored(make_toy, problem)
    labels = labels_of_rows(problem).sample(frac=1, random_state=1)[:50]
    land_labels(toy, DUE, labels)
    grade = graded(toy)
    rows = joined(toy, labels)
    assert grade.score is not None
    assert grade.score.value == pytest.approx(metric(rows["y"], rows["prediction"]))
    assert (grade.rows, grade.window, grade.date) == (50, str(day(0)), str(day(0)))
    assert (grade.version, grade.generation) == (toy.versions(0)[0], 1)
    assert grade.labels is not None
    assert (grade.labels.mature, grade.labels.late, grade.labels.doubled) == (50, 10, 0)
    assert read_grades(toy.store, toy.toy.name, sources=["labels"]) == [grade]


def test_labels_that_come_early_grade_nothing(make_toy: MakeToy) -> None:
    """A day before the delay is over no row is graded, although all have a label."""
    toy = scored(make_toy)
    land_labels(toy, day(0), labels_of_rows())
    land_labels(toy, DUE - timedelta(days=1), labels_of_rows())
    assert toy.run(DUE - timedelta(days=1)) is None


@pytest.mark.fault("S10")
def test_a_window_waits_for_the_delivery_of_its_day_and_not_for_ever(make_toy: MakeToy) -> None:
    """Labels that are due and not delivered are waited for, then the window cannot be judged."""
    toy = scored(make_toy)
    assert toy.run(DUE) is None
    assert toy.run(DUE + timedelta(days=ARRIVAL_DAYS)) is None
    grade = graded(toy, DUE + timedelta(days=ARRIVAL_DAYS + 1))
    assert grade.score is None
    assert grade.cannot_judge == (
        "0 rows can be scored, at least 20 are needed (gates.min_holdout_rows)"
    )
    assert grade.labels is not None
    assert grade.labels.late == 60


@pytest.mark.fault("S10")
def test_of_several_deliveries_the_last_one_counts(make_toy: MakeToy) -> None:
    """A label that a later delivery corrects before the window is graded is the corrected one."""
    toy = scored(make_toy)
    labels = labels_of_rows()
    land_labels(toy, day(-3), labels.assign(y=1 - labels["y"]))
    land_labels(toy, DUE, labels)
    rows = joined(toy, labels)
    grade = graded(toy)
    assert grade.score is not None
    assert grade.score.value == pytest.approx(accuracy_score(rows["y"], rows["prediction"]))
    assert len(grade.inputs) == 2


@pytest.mark.fault("S10")
def test_a_key_with_two_labels_has_one_only_where_they_agree(make_toy: MakeToy) -> None:
    """Doubled labels are counted; two different ones of a key are none."""
    toy = scored(make_toy)
    labels = labels_of_rows()
    again = labels[:5].copy()
    again.loc[again.index[:2], "y"] = 1 - again["y"][:2]
    land_labels(toy, DUE, pd.concat([labels, again], ignore_index=True))
    grade = graded(toy)
    assert grade.labels is not None
    assert (grade.labels.mature, grade.labels.late, grade.labels.doubled) == (58, 2, 5)


@pytest.mark.fault("S10")
def test_what_was_graded_is_never_rewritten_and_a_review_says_what_changed(
    make_toy: MakeToy,
) -> None:
    """Labels that came late or were corrected change a document of their own, which counts them."""
    toy = scored(make_toy)
    labels = labels_of_rows()
    land_labels(toy, DUE, labels[:40])
    first = graded(toy)
    key = grade_key(toy.toy.name, "labels", first.window, first.version)
    before = toy.store.read(key)
    corrected = labels.copy()
    corrected.loc[corrected.index[:3], "y"] = 1 - corrected["y"][:3]
    land_labels(toy, DUE + timedelta(days=5), corrected[:55])
    assert toy.run(DUE + timedelta(days=5)) is None
    review = graded(toy, DUE + timedelta(days=REVIEW_DAYS))
    assert toy.store.read(key) == before
    assert toy.store.exists(review_key(toy.toy.name, first.window, first.version))
    assert review.labels is not None
    assert (review.labels.mature, review.labels.corrected) == (55, 3)
    assert read_grades(toy.store, toy.toy.name, sources=["labels"]) == [first]
    assert toy.run(DUE + timedelta(days=REVIEW_DAYS)) is None


def test_each_version_is_graded_by_what_it_predicted_itself(make_toy: MakeToy) -> None:
    """Of a day that two versions scored each has its grade, and the later one is compared."""
    toy = scored(make_toy)
    first = toy.versions(0)[0]
    second = toy.promote(2)
    toy.run()
    assert toy.versions(0) == [second]
    land_labels(toy, DUE, labels_of_rows())
    run_on(toy, DUE)
    grades = read_grades(toy.store, toy.toy.name, sources=["labels"])
    by_version = {grade.version: grade for grade in grades}
    assert set(by_version) == {first, second}
    assert by_version[str(first)].before is None
    before = by_version[second].before
    assert before is not None
    own, other = by_version[second].score, by_version[str(first)].score
    assert own is not None
    assert other is not None
    assert (before.serving.version, before.score) == (first, pytest.approx(other.value))
    assert before.difference == pytest.approx(own.value - other.value)


def test_the_version_before_predicts_the_same_rows_where_it_had_not(make_toy: MakeToy) -> None:
    """The champion before is scored on the rows of a day that it never scored."""
    toy = labelled_toy(make_toy)
    first = toy.promote(1)
    toy.promote(2)
    toy.land(0, rows_to_score())
    toy.run()
    labels = labels_of_rows()
    land_labels(toy, DUE, labels)
    before = graded(toy).before
    assert before is not None
    loaded = load_version(toy.store, toy.toy.name, first, trusted=())
    predicted = loaded.predict(rows_to_score())["prediction"]
    assert before.score == pytest.approx(accuracy_score(labels["y"], predicted))


def test_without_its_input_a_day_is_graded_and_not_compared(make_toy: MakeToy) -> None:
    """An input that was removed since costs the comparison with the version before, no grade."""
    toy = labelled_toy(make_toy)
    toy.promote(1)
    toy.promote(2)
    toy.land(0, rows_to_score())
    toy.run()
    for info in toy.store.objects("landing/new"):
        toy.store.delete(info.key)
    land_labels(toy, DUE, labels_of_rows())
    grade = graded(toy)
    assert grade.score is not None
    assert grade.before is not None
    assert "it is gone" in str(grade.before.error)


def test_a_version_that_a_gate_promoted_is_graded_beside_its_promise(make_toy: MakeToy) -> None:
    """The promise is the score of the run that promoted the version."""
    toy = labelled_toy(make_toy)
    job, report = toy.toy.run()
    toy.toy.promote(job, report)
    toy.land(0, rows_to_score())
    toy.run()
    land_labels(toy, DUE, labels_of_rows())
    grade = graded(toy)
    assert grade.promised is not None
    assert grade.promised.score.value == report.challenger.metrics["accuracy"]
    assert grade.is_worse is False


def test_shuffled_labels_say_what_chance_gives(make_toy: MakeToy) -> None:
    """The null lies around the accuracy of no relation, far below that of the model."""
    toy = scored(make_toy)
    land_labels(toy, DUE, labels_of_rows())
    grade = graded(toy)
    assert grade.null is not None
    assert grade.score is not None
    assert grade.null.mean == pytest.approx(0.5, abs=0.1)
    assert 0 < grade.null.spread < 0.15
    assert grade.score.value > grade.null.mean + 3 * grade.null.spread


def test_keys_are_joined_whichever_type_a_file_gives_them(make_toy: MakeToy) -> None:
    """A key that the scores hold as a number and the labels as text is one key."""
    toy = scored(make_toy, key="customer")
    labels = labels_of_rows().rename(columns={"id": "customer"})
    land_labels(toy, DUE, labels.assign(customer=labels["customer"].astype(str)))
    assert graded(toy).rows == 60


def test_a_row_without_a_label_in_its_cell_is_not_known_yet(make_toy: MakeToy) -> None:
    """Empty cells are late labels, and the others are read as the contract types them."""
    toy = scored(make_toy)
    labels = labels_of_rows()
    labels["y"] = labels["y"].where(np.arange(60) % 6 > 0)
    land_labels(toy, DUE, labels)
    grade = graded(toy)
    assert grade.labels is not None
    assert (grade.rows, grade.labels.late) == (50, 10)


@pytest.mark.fault("S11")
def test_labels_that_break_the_contract_are_no_grade(make_toy: MakeToy) -> None:
    """The window cannot be judged, by file, column and rows, and no value is repeated."""
    toy = scored(make_toy)
    labels = labels_of_rows().astype({"y": str})
    labels.loc[3, "y"] = "a secret"
    land_labels(toy, DUE, labels, as_csv=True)
    grade = graded(toy)
    assert grade.score is None
    assert "labels.csv" in str(grade.cannot_judge)
    assert "secret" not in str(grade.cannot_judge)


@pytest.mark.fault("S11")
def test_labels_that_cannot_be_read_keep_no_partition_from_its_scores(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store of the labels is down: the day is scored, the window is graded by the next run."""
    toy = scored(make_toy)
    land_labels(toy, DUE, labels_of_rows())
    toy.land(-14, rows_to_score(3))
    job = toy.plan(DUE)
    assert job is not None

    def refuse(*_: Any, **__: Any) -> None:
        raise StorageError("the store does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(label_windows, "inspect_delivery", refuse)
        result = with_grades(job, score(job))
    assert [one.name for one in result.partitions] == [str(DUE)]
    assert [one.kind for one in result.ungraded] == ["storage"]
    assert graded(toy).rows == 60


def test_a_version_that_may_have_seen_the_labels_is_not_judged(make_toy: MakeToy) -> None:
    """A day that was scored by a version of later data has no grade."""
    toy = labelled_toy(make_toy)
    toy.promote(1)
    toy.land(20, rows_to_score())
    toy.run(only=day(20))
    land_labels(toy, day(4), labels_of_rows())
    grade = graded(toy, TODAY)
    assert "it may have seen them" in str(grade.cannot_judge)


def test_all_labels_in_one_place_are_awaited_by_the_time_of_their_flag(make_toy: MakeToy) -> None:
    """A delivery that replaces the one before counts from the day on which its labels are due."""
    toy = scored(make_toy, location="landing/outcomes")
    toy.store.write("landing/outcomes/all.parquet", labels_of_rows().to_parquet(index=False))
    toy.store.write("landing/outcomes/_SUCCESS", b"")
    written_on(toy, DUE - timedelta(days=1))
    assert toy.run(DUE) is None
    written_on(toy, DUE)
    assert graded(toy).rows == 60


def written_on(toy: ScoringToy, when: date) -> None:
    """Give the one delivery of all labels the time of a day, its flag the later one."""
    noon = datetime.combine(when, time(12), UTC).timestamp()
    for later, name in enumerate(("all.parquet", "_SUCCESS")):
        path = toy.store.local_path(f"landing/outcomes/{name}")
        assert path is not None
        os.utime(path, (noon + later, noon + later))
