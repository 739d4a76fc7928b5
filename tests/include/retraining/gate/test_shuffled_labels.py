"""A short run, by fixed seeds, of the simulations of `python -m benchmarks margins`."""

from __future__ import annotations

import pytest

from benchmarks.margins import each_metric, is_told_as_changed, passes_when_shuffled


@pytest.mark.parametrize(("problem", "metric"), list(each_metric()))
def test_shuffled_labels_do_not_beat_the_naive_baseline(problem: str, metric: str) -> None:
    """By no metric does a model of shuffled labels beat the baseline in more than 1 of 20 seeds."""
    found = [passes_when_shuffled(problem, metric, seed, rows=200) for seed in range(20)]
    assert sum(found) <= 1


@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize(("change", "is_told"), [(None, False), ("shuffled", True)])
def test_data_that_changed_is_told_from_chance(
    problem: str, change: str | None, is_told: bool
) -> None:
    """Other rows of the same world are no change, shuffled labels are one."""
    metric = "neg_mean_absolute_error" if problem == "regression" else "accuracy"
    found = [is_told_as_changed(problem, metric, seed, change=change) for seed in range(10)]
    assert found == [is_told] * 10
