"""Each input that is scored is compared with the rows that the champion was trained on."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from include.retraining.monitoring.delivery_drift import observe_delivery
from include.retraining.monitoring.drift import PREDICTION, read_drifts
from include.retraining.monitoring.scoring_drift import observe_scored
from include.retraining.scoring.score import score
from include.retraining.store.layout import drift_key, profile_key
from tests.support.scored_toys import ScoringToy, make_scoring_toy, rows_to_score
from tests.support.toy_models import Toy, make_frame

MakeToy = Callable[..., Toy]


def promoted(toy: ScoringToy) -> str:
    """Train, profile, evaluate and promote a version; return its name."""
    toy.toy.deliver(make_frame("regression"))
    job, report = toy.toy.run()
    observe_delivery(job)
    toy.toy.promote(job, report)
    return job.manifest.version


def scored(toy: ScoringToy, rows: pd.DataFrame) -> None:
    """Score a day's rows, and compare them."""
    toy.land(0, rows)
    job = toy.plan()
    assert job is not None
    observe_scored(job, score(job))


@pytest.mark.fault("S12")
def test_columns_and_predictions_that_moved_are_found(make_toy: MakeToy) -> None:
    """A column that moved, and the predictions that follow it, exceed their limits."""
    toy = make_scoring_toy(make_toy)
    version = promoted(toy)
    rows = rows_to_score(rows=600)
    scored(toy, rows.assign(a=rows["a"] + 3 * rows["a"].std()))
    (drift,) = read_drifts(toy.store, toy.toy.name, "scoring")
    assert (drift.version, drift.generation, drift.rows) == (version, 1, 600)
    assert {"a", PREDICTION} <= set(drift.exceeding)
    assert "b" not in drift.exceeding


def test_rows_like_those_of_the_training_are_as_usual(make_toy: MakeToy) -> None:
    """Nothing exceeds its limit, and the predictions were compared as well."""
    toy = make_scoring_toy(make_toy)
    promoted(toy)
    scored(toy, rows_to_score(rows=600))
    (drift,) = read_drifts(toy.store, toy.toy.name, "scoring")
    assert drift.exceeding == ()
    assert {column.name for column in drift.columns} == {"a", "b", PREDICTION}


@pytest.mark.fault("S13")
def test_a_version_without_a_profile_is_no_error(make_toy: MakeToy) -> None:
    """The document says why nothing could be compared, and the scores count."""
    toy = make_scoring_toy(make_toy)
    version = promoted(toy)
    toy.store.delete(profile_key(toy.toy.name, version))
    scored(toy, rows_to_score(rows=600))
    (drift,) = read_drifts(toy.store, toy.toy.name, "scoring")
    assert drift.cannot_judge is not None
    assert f"version {version} has no profile" in drift.cannot_judge


@pytest.mark.fault("S13")
def test_a_damaged_comparison_of_before_is_no_error(make_toy: MakeToy) -> None:
    """The limits of before cannot be read: nothing is compared, and the reason names the file."""
    toy = make_scoring_toy(make_toy)
    promoted(toy)
    damaged = drift_key(toy.toy.name, "scoring", "2020-01-01.00000001")
    toy.store.write(damaged, b"{")
    toy.land(0, rows_to_score(rows=600))
    job = toy.plan()
    assert job is not None
    (drift,) = observe_scored(job, score(job))
    assert drift.cannot_judge is not None
    assert damaged in drift.cannot_judge


@pytest.mark.fault("S13")
def test_what_breaks_a_comparison_breaks_no_scores(
    make_toy: MakeToy, caplog: pytest.LogCaptureFixture
) -> None:
    """An input that is lost after it was scored is logged, and nothing is compared."""
    toy = make_scoring_toy(make_toy)
    promoted(toy)
    toy.land(0, rows_to_score(rows=600))
    job = toy.plan()
    assert job is not None
    result = score(job)
    for info in toy.store.objects("landing/new"):
        toy.store.delete(info.key)
    assert observe_scored(job, result) == []
    assert "not compared" in caplog.text
    assert read_drifts(toy.store, toy.toy.name, "scoring") == []
