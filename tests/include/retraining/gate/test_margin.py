from __future__ import annotations

import pytest

from include.retraining.gate.margin import why_never_met
from include.retraining.gate.report import Comparison

MARGIN = 0.1


def compared(difference: float, half: float, narrowest: float | None) -> Comparison:
    """Return a comparison on 94 rows."""
    return Comparison(
        metric="roc_auc",
        holdout_digest="a" * 64,
        difference=difference,
        lower=difference - half,
        upper=difference + half,
        method="t interval by influence, 90 of 94 rows differ",
        rows=94,
        rarest=46,
        narrowest=narrowest,
    )


@pytest.mark.parametrize("difference", [-0.22, 0.0, 0.3])
def test_rows_that_are_too_few_for_an_equal_version_are_told_of_any(difference: float) -> None:
    """Whatever was compared: with these rows nobody could pass."""
    never = why_never_met(compared(difference, 0.15, 0.12), MARGIN)
    assert never == (
        "an equal version could not pass: the interval is ± 0.12 with 94 rows, 46 of the rarest "
        "class, and the margin is 0.10: about 140 would do in the holdout"
    )


@pytest.mark.parametrize("narrowest", [0.03, None])
def test_rows_are_not_blamed_for_a_worse_version(narrowest: float | None) -> None:
    """It differs in many rows because it is worse: its interval says nothing of an equal one."""
    assert why_never_met(compared(-0.22, 0.15, narrowest), MARGIN) is None


@pytest.mark.parametrize("narrowest", [0.03, None])
def test_two_versions_that_differ_a_lot_need_more_rows(narrowest: float | None) -> None:
    """One that may be as good is told what the interval of these two asks for."""
    never = why_never_met(compared(-0.01, 0.15, narrowest), MARGIN)
    assert never is not None
    assert never.startswith("two versions that differ as these do could not pass: the interval is ")
    assert never.endswith(": about 220 would do in the holdout")


def test_a_narrow_interval_is_no_reason() -> None:
    """The margin can be met."""
    assert why_never_met(compared(-0.01, 0.09, 0.03), MARGIN) is None


def test_a_margin_of_zero_asks_to_be_better() -> None:
    """Two regressions of the same score are told so: no number of rows would do."""
    never = why_never_met(compared(0.0, 0.15, None), 0.0)
    assert never is not None
    assert never.endswith("the margin is 0, which asks to be better, not only not worse")
