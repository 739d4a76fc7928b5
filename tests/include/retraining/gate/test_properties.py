"""The gate on any report at all: it answers, and never passes what a rule refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from include.retraining.config.model import METRICS, GatePolicy
from include.retraining.data.split_record import SplitUsed
from include.retraining.gate.report import (
    Comparison,
    EvaluationReport,
    Fairness,
    GroupRates,
    Holdout,
    JudgedScore,
    Opponent,
    Scores,
    SliceScores,
    Try,
    WindowScores,
)
from include.retraining.gate.rules import Answer, judge
from include.retraining.gate.verdict import Verdict
from tests.support.gate_checks import make_policy, make_report

ANY_NUMBER = st.floats() | st.sampled_from([0.8, 0.7, -0.01, 0.0])
ANY_INTEGER = st.integers(min_value=-(10**400), max_value=10**400) | st.integers(0, 1000)
TEXT = st.text(max_size=200)
METRIC = st.sampled_from(sorted(METRICS["binary"] | METRICS["regression"]))
DIGEST = st.sampled_from(["rows-digest", "other"])


def _any(kind: Any, **parts: Any) -> Any:
    """Build a document from any values, NaN included, as no parser would."""
    return st.fixed_dictionaries(parts).map(lambda values: kind.model_construct(**values))


SPLITS = _any(
    SplitUsed,
    by=st.sampled_from(["key", "time"]),
    holdout_fraction=st.none() | ANY_NUMBER,
    salt=st.none() | st.just("pepper"),
    column=st.none() | st.just("day"),
    holdout_days=st.none() | ANY_NUMBER,
    windows=st.none() | st.integers(0, 3),
    train_until=st.none() | st.datetimes() | st.datetimes(timezones=st.timezones()),
)
SCORES = _any(
    Scores,
    version=st.sampled_from(["a", "b", "challenger"]),
    holdout_digest=DIGEST,
    metrics=st.dictionaries(METRIC, st.none() | ANY_NUMBER),
    standard_error=st.none() | ANY_NUMBER,
    answers=st.none() | TEXT,
    latency_ms_per_1000_rows=st.none() | ANY_NUMBER,
    model_bytes=st.none() | ANY_INTEGER,
)
COMPARISONS = st.none() | _any(
    Comparison,
    metric=METRIC,
    holdout_digest=DIGEST,
    difference=ANY_NUMBER,
    lower=ANY_NUMBER,
    upper=ANY_NUMBER,
    method=TEXT,
    rows=ANY_INTEGER,
)
OPPONENTS = st.none() | _any(
    Opponent,
    serving=st.just(make_report().champion.serving),  # type: ignore[union-attr]
    split=st.none() | SPLITS,
    scores=st.none() | SCORES,
    comparison=COMPARISONS,
    judged=st.none()
    | _any(
        JudgedScore,
        metric=METRIC,
        value=ANY_NUMBER,
        standard_error=ANY_NUMBER,
        baseline=ANY_NUMBER,
        rows=ANY_INTEGER,
    ),
    error=st.none() | TEXT,
)
SLICES = _any(
    SliceScores,
    column=st.sampled_from(["region", "other"]),
    value=TEXT,
    rows=ANY_INTEGER,
    is_judged=st.booleans(),
    challenger=st.none() | ANY_NUMBER,
    champion=st.none() | ANY_NUMBER,
)
FAIRNESS = _any(
    Fairness,
    attribute=st.sampled_from(["race", "sex"]),
    groups=st.lists(
        _any(
            GroupRates,
            group=TEXT,
            rows=ANY_INTEGER,
            is_judged=st.booleans(),
            selection_rate=st.none() | ANY_NUMBER,
            true_positive_rate=st.none() | ANY_NUMBER,
            false_positive_rate=st.none() | ANY_NUMBER,
        ),
        max_size=4,
    ).map(tuple),
    disparate_impact=st.none() | ANY_NUMBER,
    equalized_odds_difference=st.none() | ANY_NUMBER,
    label_disparate_impact=st.none() | ANY_NUMBER,
)
WINDOWS = _any(
    WindowScores,
    after=st.datetimes(),
    until=st.datetimes(timezones=st.timezones()),
    rows=ANY_INTEGER,
    digest=DIGEST,
    challenger=st.none() | ANY_NUMBER,
    against=st.dictionaries(st.sampled_from(["baseline", "champion", "best"]), COMPARISONS),
    reasons=st.dictionaries(st.sampled_from(["baseline", "champion", "best"]), TEXT),
)
REPORTS = _any(
    EvaluationReport,
    model=st.just("toy_model"),
    run_id=TEXT,
    fingerprint=TEXT,
    created_at=st.datetimes(),
    problem=st.sampled_from(["binary", "multiclass", "regression", ""]),
    metric=METRIC,
    split=SPLITS,
    holdout=_any(Holdout, rows=ANY_INTEGER, digest=DIGEST, rows_in_training=ANY_INTEGER),
    challenger=SCORES,
    baseline=SCORES,
    champion=OPPONENTS,
    against_baseline=COMPARISONS,
    best=OPPONENTS,
    tried=st.none() | _any(Try, number=ANY_INTEGER, generation=ANY_INTEGER),
    slices=st.lists(SLICES, max_size=3).map(tuple),
    fairness=st.lists(FAIRNESS, max_size=2).map(tuple),
    windows=st.lists(WINDOWS, max_size=2).map(tuple),
)
POLICIES: st.SearchStrategy[GatePolicy] = st.fixed_dictionaries({
    "metric": METRIC,
    "minimum": st.dictionaries(METRIC, st.floats(-2, 2), max_size=2),
    "min_holdout_rows": st.integers(1, 1000),
    "min_group_rows": st.integers(1, 100),
    "champion.margin": st.none() | st.floats(0, 1),
    "slices": st.sampled_from([[], [{"column": "region", "minimum": 0.5, "max_drop": 0.1}]]),
}).map(make_policy)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(report=REPORTS, policy=POLICIES)
def test_any_report_gets_a_verdict_that_can_be_stored(
    report: EvaluationReport, policy: GatePolicy
) -> None:
    """No report makes the gate raise, and each verdict can be written and read back."""
    verdict = judge(report, policy, report_digest="d")
    assert Verdict.from_bytes(verdict.to_bytes(), where="verdict") == verdict
    answers = {gate.answer for gate in verdict.gates}
    assert verdict.passed == (answers <= {Answer.PASS, Answer.NOT_JUDGED})


RULES = [
    ("challenger.metrics.accuracy", lambda value: 0.8 <= value <= 1 + 1e-9),
    ("challenger.metrics.roc_auc", lambda value: 0.7 <= value <= 1 + 1e-9),
    ("baseline.metrics.accuracy", lambda value: -1e-9 <= value < 0.86),
    ("against_baseline.lower", lambda value: 0.6 + value > 0.6 and value <= 0.31),
    ("champion.judged.value", lambda value: 0.5 * (value - 0.58) <= 0.84 - 0.6),
    ("champion.comparison.lower", lambda value: -0.01 < value <= 0.035),
    ("best.comparison.lower", lambda value: -0.01 < value <= 0.019),
    ("slices.0.challenger", lambda value: 0.84 - 0.05 <= value <= 1 + 1e-9),
    ("fairness.0.disparate_impact", lambda value: value >= 0.8),
    ("fairness.0.equalized_odds_difference", lambda value: value <= 0.2),
    ("challenger.latency_ms_per_1000_rows", lambda value: value <= 50),
]


@pytest.mark.parametrize(("path", "is_good"), RULES, ids=[path for path, _ in RULES])
@settings(max_examples=80, deadline=None)
@given(value=st.floats(allow_nan=False, allow_infinity=False) | st.floats(-1, 1))
def test_one_number_decides(path: str, is_good: Any, value: float) -> None:
    """With everything else good, the verdict passes exactly when one number keeps its limit."""
    # The decision metric is also half of each difference: without rivals it stands alone.
    is_alone = path == "challenger.metrics.accuracy"
    assume(not is_alone or value > 0.6)
    rivals: dict[str, Any] = {"champion": None, "best": None} if is_alone else {}
    if path.endswith(("challenger.metrics.accuracy", "baseline.metrics.accuracy")):
        rivals |= {"baseline.answers": None}  # from before the two had an interval
    verdict = judge(make_report({path: value, **rivals}), make_policy(), report_digest="d")
    assert verdict.passed == is_good(value), verdict.headline


@settings(max_examples=60, deadline=None)
@given(lower=st.floats(-1, 0.035), margin=st.floats(0, 0.5), more=st.floats(0, 0.49))
def test_a_wider_margin_never_refuses_more(lower: float, margin: float, more: float) -> None:
    """Whatever passes under a margin passes under a wider one."""
    report = make_report({"champion.comparison.lower": lower, "best": None})
    strict, lax = (
        judge(report, make_policy({"champion.margin": wide}), report_digest="d").passed
        for wide in (margin, margin + more)
    )
    assert lax or not strict
