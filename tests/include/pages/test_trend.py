"""Metric, slices and fairness over time, from decision records."""

from __future__ import annotations

import pytest

from include.pages.trend import fairness, judged, points, slices
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.decisions.records import decisions
from include.retraining.gate.rules import judge
from include.retraining.gate.verdict import Answer
from include.retraining.steps.close_run import close_run
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.gate_checks import make_policy
from tests.support.run_factory import MODEL, decide, plant_run


@pytest.fixture
def records(folder_store: Store) -> list[DecisionRecord]:
    """A first promotion, a run that broke, one that cannot be judged: the newest first."""
    store = initialise(folder_store.uri, {})
    decide(store, plant_run(store, 1))
    close_run(store, plant_run(store, 2, evaluated=False), Outcome.FAILED, "broke")
    changes = {
        "challenger.metrics": {"accuracy": 0.7, "roc_auc": 0.9},
        "champion.comparison.difference": 0.7 - 0.84,
        "champion.comparison.lower": -0.16,
        "champion.comparison.upper": -0.12,
        "slices.0.challenger": None,
    }
    decide(store, plant_run(store, 3, report=changes))
    return list(decisions(store, MODEL))


def test_only_runs_that_were_evaluated_count(records: list[DecisionRecord]) -> None:
    """Oldest first."""
    found = judged(records)
    assert [record.outcome for record in found] == [Outcome.PROMOTED, Outcome.CANNOT_JUDGE]
    assert judged([]) == []


def test_a_point_has_score_champion_interval_and_limit(records: list[DecisionRecord]) -> None:
    """The interval lies around the challenger: the champion's score and the paired difference."""
    first, second = points(judged(records))
    assert (first.challenger, first.champion, first.lower) == (0.86, None, None)
    assert (first.limit, first.limit_name) == (0.8, "minimum")  # above the naive baseline's 0.6
    assert (second.challenger, second.champion) == (0.7, 0.84)
    assert (second.lower, second.upper) == pytest.approx((0.68, 0.72))


def test_an_error_is_shown_as_people_read_it(records: list[DecisionRecord]) -> None:
    """Positive, and its interval the right way round."""
    newest = judged(records)[-1]
    assert newest.report is not None
    changed = newest.report.model_dump(mode="json")
    for scores in (changed["challenger"], changed["champion"]["scores"], changed["baseline"]):
        scores["metrics"] = {"neg_mean_absolute_error": -scores["metrics"]["accuracy"]}
    changed["metric"] = "neg_mean_absolute_error"
    report = type(newest.report).model_validate_json(
        type(newest.report).model_validate(changed, strict=False).to_bytes()
    )
    verdict = judge(report, make_policy({"metric": report.metric}), report_digest="d")
    (point,) = points([newest.model_copy(update={"report": report, "verdict": verdict})])
    assert (point.challenger, point.champion) == (0.7, 0.84)
    assert point.lower == pytest.approx(0.84 + 0.12)
    assert point.upper == pytest.approx(0.84 + 0.16)
    assert (point.limit, point.limit_name) == (0.6, "baseline")


def test_slices_and_fairness_have_their_limits(records: list[DecisionRecord]) -> None:
    """What too few rows were there for is said to be not judged."""
    found = {series.name: series for series in slices(judged(records))}
    assert found["region = north"].values == (0.86, None)
    assert found["region = north"].newest == 0.86
    assert found["region = north"].limit == 0.7
    assert [found[f"region = {name}"].is_judged for name in ("north", "west")] == [True, False]
    assert found["region = west"].limit is None  # not the rows that it lacks
    by_race = {series.name: series for series in fairness(judged(records))}
    assert by_race["race: disparate impact"].values == (0.9, 0.9)
    assert by_race["race: disparate impact"].limit == 0.8
    assert by_race["race: equalised odds, difference"].limit == 0.2
    assert by_race["race: disparate impact"].answer is Answer.PASS
    assert [found[f"region = {name}"].answer for name in ("south", "west")] == [Answer.PASS, None]
    assert found["region = north"].answer is Answer.CANNOT_JUDGE  # its score is missing
    assert (slices([]), fairness([])) == ([], [])
