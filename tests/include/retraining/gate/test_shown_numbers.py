"""Of an error, a reader sees a positive number of which lower is better."""

from __future__ import annotations

from include.retraining.gate.identity import Rule
from include.retraining.gate.rules import judge
from include.retraining.gate.shown_numbers import shown_numbers
from include.retraining.gate.tables import gates_table, scores_table, slices_table
from tests.support.gate_checks import make_policy, make_report

METRIC = "neg_brier_score"
CHANGES = {
    "metric": METRIC,
    "challenger.metrics": {METRIC: -0.12, "accuracy": 0.86},
    "baseline.metrics": {METRIC: -0.25, "accuracy": 0.6},
    "against_baseline.metric": METRIC,
    "against_baseline.difference": 0.13,
    "against_baseline.lower": 0.1,
    "against_baseline.upper": 0.16,
    "champion.scores.metrics": {METRIC: -0.14},
    "champion.comparison.metric": METRIC,
    "champion.comparison.difference": 0.02,
    "champion.judged.metric": METRIC,
    "champion.judged.value": -0.14,
    "champion.judged.baseline": -0.25,
    "best": None,
    "slices.0.challenger": -0.1,
    "slices.0.champion": -0.11,
    "slices.1.challenger": -0.13,
    "slices.1.champion": -0.12,
}
POLICY = {
    "metric": METRIC,
    "minimum": {METRIC: -0.2, "accuracy": 0.8},
    "slices": [{"column": "region", "minimum": -0.3, "max_drop": 0.05}],
}


def test_every_number_of_an_error_is_shown_positive() -> None:
    """Its minimum, baseline, slices and earlier score; a difference stays as it is."""
    report = make_report(CHANGES)
    verdict = judge(report, make_policy(POLICY), report_digest="d")
    shown = {(gate.rule, gate.subject): shown_numbers(gate, METRIC) for gate in verdict.gates}
    assert shown[Rule.MINIMUM, (METRIC,)] == (0.12, 0.2)
    assert shown[Rule.MINIMUM, ("accuracy",)] == (0.86, 0.8)
    assert shown[Rule.BASELINE, ()].limit == 0.25
    assert shown[Rule.CHAMPION_SCORE, ()].value == 0.14
    assert shown[Rule.SLICE_MINIMUM, ("region", "north")] == (0.1, 0.3)
    assert shown[Rule.SLICE_DROP, ("region", "south")].value == 0.13
    assert shown[Rule.OPPONENT, ("champion",)].value == 0.005  # the difference's lower end
    assert shown[Rule.HOLDOUT_ROWS, ()].value == 500
    assert shown[Rule.OPPONENT, ("champion",)].limit < 0  # minus the margin


def test_tables_show_errors_as_errors() -> None:
    """In the gates', scores' and slices' tables, and with the way it is better."""
    report = make_report(CHANGES)
    verdict = judge(report, make_policy(POLICY), report_digest="d")
    table = gates_table(verdict, report.metric)
    assert "| minimum brier score | pass | 0.12 | 0.20 | brier score is 0.12, at most" in table
    assert "| slice region=north | pass | 0.10 | 0.30 |" in table
    decides = "**brier score** (decides, lower is better) | 0.12 | 0.14 | 0.25 |"
    assert decides in scores_table(report)
    assert slices_table(report).startswith("Brier score per slice, lower is better.")
