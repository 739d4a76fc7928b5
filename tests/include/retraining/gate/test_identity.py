"""Which rule a result is of: a field of what is written now, concluded from old documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from include.retraining.gate.identity import NEEDS_CHAMPION, TITLES, Gate, Rule
from include.retraining.gate.rules import judge
from include.retraining.gate.verdict import Answer, GateResult, Verdict
from tests.support.gate_checks import CASES, make_policy, make_report

# Verdicts as they were written before results named their rule, with the report of each.
BEFORE: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("verdicts_before_rules.json").read_text(encoding="utf-8")
)
# Two rules that a title does not tell apart.
SAME_TITLE = {Rule.FAIRNESS_COVERAGE: Rule.DISPARATE_IMPACT}


def _read(title: str, answer: Answer, limit: float | None = None) -> GateResult:
    return GateResult(gate=title, answer=answer, value=None, limit=limit, reason="as it was")


def _gate(result: GateResult) -> Gate:
    return Gate(SAME_TITLE.get(result.rule, result.rule), result.subject)


@pytest.mark.parametrize("name", sorted(BEFORE))
def test_old_verdicts_are_read(name: str) -> None:
    """A verdict from before has the rules and subjects that its report is judged by today."""
    stored = BEFORE[name]
    verdict = Verdict.from_bytes(json.dumps(stored["verdict"]).encode(), where=name)
    today = judge(make_report(stored["report"]), make_policy(), report_digest="digest")
    assert [_gate(result) for result in verdict.gates] == [_gate(result) for result in today.gates]
    assert verdict.answer is today.answer


@pytest.mark.parametrize("name", sorted(BEFORE))
def test_old_verdicts_keep_their_digest(name: str) -> None:
    """An old verdict that is read and written again has the digest that the log keeps of it."""
    stored = BEFORE[name]
    verdict = Verdict.from_bytes(json.dumps(stored["verdict"]).encode(), where=name)
    assert verdict.content_digest == stored["digest"]


def test_every_title_leads_back_to_its_rule() -> None:
    """For the results of the table of cases, the title alone gives rule and subject."""
    seen = set()
    for case in CASES:
        report, policy = make_report(case.report), make_policy(case.policy)
        for result in judge(report, policy, report_digest="digest").gates:
            seen.add(result.rule)
            if result.rule is Rule.SLICE_DROP and result.answer is Answer.CANNOT_JUDGE:
                continue  # see test_no_name_of_the_data_is_taken_for_a_champions_rule
            read = _read(result.gate, result.answer, result.limit)
            assert _gate(read) == _gate(result), case.name
    assert seen == set(Rule) - {Rule.UNKNOWN} == set(TITLES) - {Rule.UNKNOWN}


@pytest.mark.parametrize(
    ("title", "answer", "limit", "expected"),
    [
        ("minimum log loss", Answer.PASS, 0.5, Gate(Rule.MINIMUM, ("neg_log_loss",))),
        ("minimum charm", Answer.PASS, 0.5, Gate(Rule.MINIMUM, ("charm",))),
        ("slice a=b=c", Answer.PASS, 0.5, Gate(Rule.SLICE_MINIMUM, ("a", "b=c"))),
        ("slice a=b", Answer.NOT_JUDGED, 30.0, Gate(Rule.SLICE_COVERAGE, ("a", "b"))),
        ("against everybody", Answer.FAIL, 0.5, Gate(Rule.UNKNOWN, ("against everybody",))),
        ("x against champion", Answer.FAIL, 0.5, Gate(Rule.UNKNOWN, ("x against champion",))),
        ("", Answer.FAIL, None, Gate(Rule.UNKNOWN)),
    ],
)
def test_titles_of_before(title: str, answer: Answer, limit: float | None, expected: Gate) -> None:
    """A title that nothing wrote is of no known rule, and never of one that needs a champion."""
    read = _read(title, answer, limit)
    assert (read.rule, read.subject) == expected


@pytest.mark.parametrize(
    "title",
    [
        "slice region=x against champion",
        "slice region=x, range against champion",
        "slice region against champion",
        "fairness race against champion",
        "minimum against champion",
    ],
)
def test_no_name_of_the_data_is_taken_for_a_champions_rule(title: str) -> None:
    """Where a limit is given and nothing judged, a number of the challenger's own is missing."""
    assert _read(title, Answer.CANNOT_JUDGE, limit=0.7).rule not in NEEDS_CHAMPION


def test_a_title_is_short_and_a_subject_is_whole() -> None:
    """Of a long name the title has the beginning, and the subject all of it."""
    gate = Gate(Rule.SLICE_DROP, ("region", "x" * 200))
    assert len(gate.title) < 130
    assert gate.title.endswith(" against champion")
    assert gate.subject[1] == "x" * 200
