"""The gate: its table, its words, and that it is pure."""

from __future__ import annotations

from typing import Any

import pytest

from include.retraining.gate.identity import Gate, Rule
from include.retraining.gate.rules import Answer, _overall, judge
from include.retraining.gate.verdict import Verdict, result
from tests.support.gate_checks import CASES, Case, check, make_policy, make_report


def _marked(case: Case) -> Any:
    marks = [pytest.mark.fault(case.fault)] if case.fault else []
    return pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", [_marked(case) for case in CASES])
def test_table(case: Case) -> None:
    """Every row of the table gets the answer that it must get."""
    check(judge, case)


def test_the_names_of_the_table_are_different() -> None:
    """No row of the table hides another."""
    assert len({case.name for case in CASES}) == len(CASES) > 100


def test_no_rule_is_no_pass() -> None:
    """Without a single rule that passed there is no pass."""
    assert _overall([]) is Answer.CANNOT_JUDGE
    unjudged = result(Gate(Rule.SLICE_COVERAGE, ("region", "x")), Answer.NOT_JUDGED, "too small")
    assert _overall([unjudged]) is Answer.CANNOT_JUDGE


def test_a_verdict_without_gates_has_a_headline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate without any rule says so."""
    monkeypatch.setattr("include.retraining.gate.rules._RULES", ())
    assert judge(make_report(), make_policy(), report_digest="d").headline == (
        "no rule gave an answer"
    )


def test_the_verdict_says_what_it_was_made_from() -> None:
    """The verdict carries the run, the fingerprint and the digests of report and policy."""
    report, policy = make_report(), make_policy()
    verdict = judge(report, policy, report_digest="the digest")
    assert (verdict.run_id, verdict.fingerprint) == (report.run_id, report.fingerprint)
    assert (verdict.report_digest, verdict.policy_digest) == ("the digest", policy.digest)
    assert verdict.judged_against == 3


def test_the_same_input_gives_the_same_bytes() -> None:
    """Judging twice gives the same document, which can be stored and read back."""
    first, second = (judge(make_report(), make_policy(), report_digest="d") for _ in range(2))
    assert first.to_bytes() == second.to_bytes()
    assert Verdict.from_bytes(first.to_bytes(), where="x") == first


def test_reasons_are_only_of_refusals() -> None:
    """What passed or was not judged is not among the reasons."""
    report = make_report({"challenger.model_bytes": 20_000_000})
    verdict = judge(report, make_policy(), report_digest="d")
    assert verdict.reasons == ("model size is 20 MB, must be at most 10",)


def test_errors_are_worded_as_errors() -> None:
    """Of a negated error, people read the error and that less is better."""
    changes = {
        "problem": "regression",
        "metric": "neg_mean_absolute_error",
        "challenger.metrics": {"neg_mean_absolute_error": -45.234},
        "baseline.metrics": {"neg_mean_absolute_error": -40.0},
        "champion": None,
        "best": None,
        "slices": [],
    }
    policy = {
        "metric": "neg_mean_absolute_error",
        "minimum": {"neg_mean_absolute_error": -44.0},
        "slices": [],
        "fairness": [],
    }
    verdict = judge(make_report(changes), make_policy(policy), report_digest="d")
    assert verdict.reasons == (
        "mean absolute error is 45.23, must be at most 44",
        "mean absolute error is 45.23, must be below the naive baseline's 40",
    )


def test_two_numbers_that_look_alike_are_told_apart() -> None:
    """A value just under its limit is shown with the digits that tell them apart."""
    report = make_report({"fairness.0.disparate_impact": 0.79999996})
    verdict = judge(report, make_policy(), report_digest="d")
    assert "is 0.79999996 of" in verdict.headline


def test_protected_values_are_never_named() -> None:
    """No sentence of the gate names a group of a protected attribute."""
    changes = {
        "fairness.0.disparate_impact": 0.1,
        "fairness.0.groups.0.group": "secretgroup",
        "fairness.0.groups.2.group": "secretgroup",
    }
    verdict = judge(make_report(changes), make_policy(), report_digest="d")
    assert b"secretgroup" not in verdict.to_bytes()
