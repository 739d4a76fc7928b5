"""Drift is an effect size: what it says does not depend on how many rows there are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.drift import compare, follow, healthy, made_up, profiles, raised, weekly_season
from include.retraining.monitoring.column_profile import MIN_CATEGORY_ROWS, profile_column
from include.retraining.monitoring.divergence import quantile_distance, stability_index
from include.retraining.monitoring.drift_limits import DEFAULT, LearnedLimits
from include.retraining.monitoring.drift_state import DriftStatus, drift_state
from tests.support.planted_drifts import moved, planted, planted_all


def test_the_index_is_that_of_the_formula() -> None:
    """Of 50 and 50 % against 70 and 30 %, it is 0.2 ln(0.7/0.5) - 0.2 ln(0.3/0.5), less chance."""
    many = 10**9
    index = stability_index([5 * many, 5 * many], [7 * many, 3 * many])
    assert index == pytest.approx(0.2 * np.log(0.7 / 0.5) - 0.2 * np.log(0.3 / 0.5))
    assert stability_index([500, 500], [7_000_000, 3_000_000]) == pytest.approx(index, abs=0.002)


def test_the_distance_is_the_shift_in_standard_deviations_of_the_training_rows() -> None:
    """All quantiles move by two, and spread over one: the distance is two."""
    assert quantile_distance([-1.0, 1.0], [1.0, 3.0]) == pytest.approx(2.0)
    assert quantile_distance([1.0, 1.0], [1.0, 3.0]) is None


@pytest.mark.parametrize("rows", [1_000, 1_000_000])
def test_a_shift_is_as_great_whatever_the_number_of_rows(rows: int) -> None:
    """Half a standard deviation is 0.24 and 0.5 or so; a hundredth is nothing."""
    random = np.random.default_rng(0)
    training = profiles(made_up(100_000, random))
    shifted = {
        one.name: one for one in compare(made_up(rows, random, moved=0.5), training, []).columns
    }
    assert shifted["income"].index == pytest.approx(0.24, abs=0.08)
    assert shifted["income"].distance == pytest.approx(0.55, abs=0.1)
    assert compare(made_up(rows, random, moved=0.01), training, []).exceeding == ()


@pytest.mark.fault("S12")
def test_healthy_inputs_raise_nothing() -> None:
    """Of 100 inputs as the training rows, none raises the alarm."""
    assert healthy(1_000, 100).ratio == 0


@pytest.mark.fault("S12")
def test_weekly_seasons_raise_nothing() -> None:
    """Weekends that are other days raise nothing, and the next version's limits know them."""
    alarms, beyond = weekly_season(days=140)
    assert alarms.ratio == 0
    assert beyond.ours.endswith("and 0")


@pytest.mark.fault("S12")
def test_a_shift_is_raised_with_the_third_input() -> None:
    """One input beyond its limit is none, three in a row are a drift."""
    random = np.random.default_rng(1)
    training = profiles(made_up(10_000, random))
    assert raised(follow(4, lambda _: made_up(1_000, random, moved=1.0), training)) == [3, 4]


def test_new_vanished_and_missing_are_named() -> None:
    """A category of before that is gone, a share of new ones, and values that are missing now."""
    random = np.random.default_rng(2)
    training = profiles(made_up(10_000, random))
    frame = made_up(1_000, random)
    grades = frame["grade"].astype(object)
    grades[grades == "D"] = "E"
    frame["grade"] = grades
    frame.loc[:499, "income"] = np.nan
    found = {one.name: one for one in compare(frame, training, []).columns}
    assert found["grade"].vanished == ("D",)
    assert found["grade"].new == pytest.approx(0.1, abs=0.03)
    assert (found["income"].missing_before, found["income"].missing) == (0.0, 0.5)
    assert found["income"].exceeds


def test_a_profile_keeps_no_value_that_few_rows_hold() -> None:
    """Names of single people are counted together, and numbers are kept as quantiles only."""
    names = [f"person {number}" for number in range(100)] + ["Smith"] * MIN_CATEGORY_ROWS
    profile = profile_column(pd.Series(names))
    assert profile is not None
    assert (profile.categories, profile.others) == ({"Smith": MIN_CATEGORY_ROWS}, 100)
    numbers = profile_column(pd.Series([*np.linspace(0, 1, 1_000), 1e9]))
    assert numbers is not None
    assert numbers.quantiles is not None
    assert max(numbers.quantiles) < 1


def test_times_are_not_profiled() -> None:
    """A date moves by itself."""
    assert profile_column(pd.Series(pd.to_datetime(["2026-01-01"] * 200))) is None


def test_whole_numbers_of_few_values_are_counted_by_value() -> None:
    """3 and 3.0 are one value, so that a column that lost a cell is no drift."""
    whole = profile_column(pd.Series([1, 2, 3] * 100))
    broken = profile_column(pd.Series([1.0, 2.0, 3.0] * 100))
    assert whole is not None
    assert whole == broken
    assert whole.categories == {"1": 100, "2": 100, "3": 100}


def test_limits_are_learned_from_seasons_and_not_from_a_drift() -> None:
    """Two inputs beyond in a row are a season; three, or those just before a version, are not."""
    season = planted_all(*[0.1, 0.1, 0.1, 0.1, 0.1, 0.4, 0.4] * 2, 0.1)
    assert LearnedLimits(season, generation=2).of("income").index == pytest.approx(0.5)
    drift = planted_all(*[0.1] * 8, 0.4, 0.4, 0.4, 0.1)
    assert LearnedLimits(drift, generation=2).of("income").index == 0.2
    beginning = planted_all(*[0.1] * 8, 0.4, 0.4)
    assert LearnedLimits(beginning, generation=2).of("income").index == 0.2
    assert LearnedLimits(season[:6], generation=2).of("income") == DEFAULT


@pytest.mark.fault("S12")
def test_limits_hold_as_long_as_the_champion_serves() -> None:
    """What creeps while it serves does not raise its own limits."""
    before = planted_all(*[0.1] * 8)
    own = [planted(20 + number, 0.15, generation=2) for number in range(20)]
    limits = LearnedLimits([*before, *own], generation=2).of("income")
    assert limits == moved(0.15).limits


@pytest.mark.fault("S13")
@pytest.mark.parametrize(
    ("indexes", "status"),
    [
        ([], DriftStatus.NOTHING_COMPARED),
        ([0.1, 0.1], DriftStatus.USUAL),
        ([0.4, 0.4], DriftStatus.USUAL),
        ([0.4, 0.1, 0.4, 0.4], DriftStatus.DRIFTED),
        ([0.4, 0.4, 0.4, 0.1], DriftStatus.USUAL),
        ([0.4, 0.4, 0.4, None], DriftStatus.CANNOT_JUDGE),
        ([0.4, 0.4, None, 0.4], DriftStatus.DRIFTED),
    ],
)
def test_a_drift_is_several_inputs_and_the_newest(
    indexes: list[float | None], status: DriftStatus
) -> None:
    """Three of the last five and the newest; one that cannot be compared is never usual."""
    assert drift_state(planted_all(*indexes), 1).status is status


def test_another_champion_begins_anew() -> None:
    """Inputs that were compared with the version before say nothing of this one."""
    assert drift_state(planted_all(0.4, 0.4, 0.4), 2).status is DriftStatus.NOTHING_COMPARED
