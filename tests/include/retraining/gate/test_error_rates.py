"""Short simulations with fixed seeds; `python -m benchmarks gate` has the long ones."""

from __future__ import annotations

import pytest

from benchmarks import gate

SHORT = 60


@pytest.mark.fault("F09")
@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1"])
def test_few_positives_let_hardly_any_worse_challenger_pass(metric: str) -> None:
    """With 10 or 20 positives a challenger that is worse by the whole margin passes in 5 %."""
    for positives in (10, 20):
        found = gate.passes(
            lambda g, k, n=positives: gate._lost_positives(g, n * k, gate.ROWS * k), metric, SHORT
        )
        assert found <= gate.ALLOWED


@pytest.mark.fault("F09")
@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_a_curve_by_ten_positives_is_not_trusted_too_much(metric: str) -> None:
    """Near an area of 1, ten positives that all rank high prove little."""

    def strong(random, factor: int):
        return gate._binary_scores(random, 10 * factor, gate.ROWS * factor, 2.6, 3.2)

    assert gate.passes(strong, metric, SHORT) <= gate.ALLOWED


@pytest.mark.parametrize("metric", ["neg_mean_squared_error"])
def test_heavy_tails_let_hardly_any_worse_challenger_pass(metric: str) -> None:
    """Squared errors with heavy tails keep the level too."""
    draw = gate.ERRORS["of Student's t with 3 degrees"]
    found = gate.passes(
        lambda g, k: gate._numbers(g, gate.ROWS * k, draw), metric, 200, large_by=3_000
    )
    assert found <= gate.ALLOWED


@pytest.mark.fault("F10")
def test_a_better_challenger_passes_at_the_twentieth_try() -> None:
    """An improvement of twice the margin still passes in 80 % of cases."""
    assert gate.promoted_within(1, 100, truth=0.94, first=20) >= 1 - gate.MISSED


@pytest.mark.fault("F14")
def test_slices_refuse_what_is_worse_and_not_what_is_equal() -> None:
    """Of 20 slices, chance makes none refuse an equal challenger; one that is worse is found."""
    assert gate.slices_refused(200, slices=20, rows=50) <= gate.ALLOWED
    assert gate.slices_refused(200, slices=20, rows=400, worse_by=0.1) >= 1 - gate.MISSED
