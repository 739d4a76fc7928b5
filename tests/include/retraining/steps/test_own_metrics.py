"""A model that is judged by a metric of its team."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from include.retraining.gate.rules import judge
from include.retraining.gate.verdict import Answer
from tests.support.toy_models import Toy, make_frame, model_file

MakeToy = Callable[..., Toy]
SCORERS = """
from sklearn.metrics import make_scorer

def cost(labels, answers):
    false_yes, false_no = answers > labels, answers < labels
    return (2 * false_yes + false_no).mean()

neg_cost = make_scorer(cost, greater_is_better=False)
"""


@pytest.fixture
def toy(make_toy: MakeToy) -> Iterator[Toy]:
    """A model whose false yes costs twice a false no."""
    own = {"neg_cost": {"scorer": "toy_costs.neg_cost", "worst": -2, "best": 0}}
    gates = {"metric": "neg_cost", "own_metrics": own, "minimum": {"neg_cost": -1}}
    made = make_toy(gates={**gates, "slices": [{"column": "region", "max_drop": 0.5}]})
    (made.models / "toy_costs.py").write_text(SCORERS)
    made.deliver(make_frame("binary", 160))
    yield made
    sys.modules.pop("include.models.toy_costs", None)


def test_it_is_judged_by_its_teams_metric_from_one_champion_to_the_next(toy: Toy) -> None:
    """Scores, intervals, slices and the naive baseline are by it, and so are the limits."""
    job, first = toy.run()
    assert first.metric == "neg_cost"
    assert -1 < first.challenger.metrics["neg_cost"] < 0
    assert first.baseline.metrics["neg_cost"] < first.challenger.metrics["neg_cost"]
    assert first.baseline.metrics["neg_cost"] > -1
    assert b"every metric is the team's own" in toy.store.read(job.paths.importances)
    verdict = judge(first, toy.config.gates, report_digest=first.content_digest)
    assert verdict.answer is Answer.PASS
    assert "cost is" in verdict.headline
    toy.promote(job, first)
    toy.write_model(model_file("binary", "LogisticRegression(C=0.5)"))
    _, second = toy.run()
    assert second.champion is not None
    assert second.champion.comparison is not None
    assert {row.column for row in second.slices} == {"region"}
    verdict = judge(second, toy.config.gates, report_digest=second.content_digest)
    assert verdict.answer is Answer.PASS


def test_a_changed_scorer_is_judged_again_and_not_trained_again(toy: Toy) -> None:
    """The version stays; what judged it is another."""
    before = toy.plan().manifest
    (toy.models / "toy_costs.py").write_text(SCORERS.replace("2 *", "3 *"))
    after = toy.plan().manifest
    assert after.version == before.version
    assert after.code.judging_digest != before.code.judging_digest
