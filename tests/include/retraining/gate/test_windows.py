"""Short simulations with fixed seeds; `python -m benchmarks windows` has the long ones."""

from __future__ import annotations

from benchmarks import windows
from include.retraining.gate.identity import Rule
from include.retraining.gate.rules import judge
from tests.support.gate_checks import WINDOWS, make_policy, make_report

SHORT = 40


def test_luck_in_the_newest_window_does_not_pass() -> None:
    """Better in the newest window and worse by the margin before passes in 5 %, alone it would."""
    alone, four = windows.passes(SHORT, newest=windows.LESS, earlier=-windows.LESS)
    assert alone > 0.5
    assert four <= windows.ALLOWED


def test_an_equal_recipe_passes_the_windows_as_well() -> None:
    """The windows cost an equal recipe less than a fifth of what passes the holdout alone."""
    alone, four = windows.passes(SHORT, newest=0.0, earlier=0.0)
    assert alone > 0.5
    assert alone - four <= windows.MISSED


def test_the_limit_of_a_lead_is_zero_without_a_sign() -> None:
    """The lead over the naive baseline in earlier windows is shown against 0, not -0."""
    verdict = judge(make_report(WINDOWS), make_policy(), report_digest="digest")
    limits = {gate.rule: gate.limit for gate in verdict.gates}
    assert f"{limits[Rule.BASELINE_WINDOWS]:g}" == "0"
