"""A team's own metrics: what the YAML may say of them, and that the scorers agree."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.retraining.config.model_code import load_model_code
from include.retraining.config.scorers import load_scorers
from include.retraining.documents import canonical_json, sha256_of
from include.retraining.exceptions import ConfigError
from tests.support import apples

pytest_plugins = ("tests.support.apples_fixtures",)

CODE = """
from sklearn.metrics import brier_score_loss, make_scorer

def cost(labels, answers):
    return float((labels != answers).mean())

neg_cost = make_scorer(cost, greater_is_better=False)
profit = make_scorer(cost)
chances = make_scorer(brier_score_loss, greater_is_better=False, response_method="predict_proba")
order = make_scorer(cost, response_method=("decision_function", "predict_proba"))

def plain(estimator, rows, labels):
    return 0.5

number = 3
"""


@pytest.fixture
def costs(apples_file: Path) -> Iterator[Path]:
    """A file of scorers beside the apples model."""
    file = apples_file.with_name("apple_costs.py")
    file.write_text(CODE)
    importlib.invalidate_caches()
    yield file
    sys.modules.pop("include.models.apple_costs", None)


def metric(scorer: str, **fields: Any) -> dict[str, Any]:
    """Return what a YAML says of a metric."""
    return {"scorer": f"apple_costs.{scorer}", "worst": -1, "best": 1, **fields}


def config(name: str = "neg_cost", changes: dict[str, Any] | None = None, **fields: Any) -> Any:
    """Return the apples model with one metric of its own, by which it is judged."""
    scorer = fields.pop("scorer", name)
    return apples.config({
        "gates.metric": name,
        "gates.own_metrics": {name: metric(scorer, **fields)},
        **(changes or {}),
    })


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("neg_cost", {}),
        ("profit", {}),
        ("plain", {}),
        ("neg_plain", {"scorer": "plain"}),
        ("neg_chances", {"scorer": "chances", "needs": "probabilities"}),
        ("order", {"needs": "ranking"}),
    ],
)
def test_a_scorer_that_is_what_the_yaml_says_is_loaded(
    costs: Path, name: str, fields: dict[str, Any]
) -> None:
    """One of `make_scorer`, or any function that is called as one."""
    assert list(load_model_code(config(name, **fields)).scorers) == [name]


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("cost", {"scorer": "neg_cost"}, "the metric's name must begin with 'neg_'"),
        ("neg_profit", {"scorer": "profit"}, "the metric's name must not begin with 'neg_'"),
        ("neg_chances", {"scorer": "chances"}, "asks for predict_proba, and `needs: predictions`"),
        ("number", {}, "must define the scorer 'apple_costs.number'"),
        ("missing", {}, "must define the scorer 'apple_costs.missing'"),
    ],
)
def test_a_scorer_that_differs_from_the_yaml_is_refused(
    costs: Path, name: str, fields: dict[str, Any], message: str
) -> None:
    """The file, what is wrong, and the field that says otherwise."""
    with pytest.raises(ConfigError, match=r"^include/models/apple_costs\.py: ") as caught:
        load_scorers(config(name, **fields))
    assert message in str(caught.value)
    assert f"gates.own_metrics.{name}.scorer of include/models/apples.yaml" in str(caught.value)


def test_a_file_of_scorers_that_cannot_be_imported_is_told(costs: Path) -> None:
    """With the field that names it."""
    costs.write_text("import no_such_library")
    with pytest.raises(ConfigError, match=r"apple_costs\.py: cannot be imported for gates\.own_me"):
        load_scorers(config())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gates.metric": "neg_kost"}, r"'neg_kost' is not a metric .*did you mean 'neg_cost'"),
        ({"gates.own_metrics.neg_cost.worst": 1}, r"worst 1\.0 is not below best 1\.0"),
        (
            {"gates.own_metrics.neg_cost.scorer": "cost"},
            r"own_metrics\.neg_cost\.scorer: .*pattern",
        ),
        (
            {"gates.own_metrics.neg_cost.scorr": "x"},
            r"neg_cost\.scorr: is not a field \(did you mean 'scorer'\?\); allowed: scorer, worst",
        ),
        ({"gates.own_metrics.f1": metric("profit")}, "own_metrics.f1: is the name of a metric"),
        ({"gates.minimum": {"neg_cost": 3}}, r"minimum\.neg_cost: is 3, neg_cost lies from -1 to"),
        ({"gates.champion": {"margin": 2}}, r"margin: is 2, which allows anything: neg_cost"),
    ],
)
def test_an_own_metric_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    """By its field, as any other mistake of a YAML."""
    with pytest.raises(ConfigError, match=message):
        config(changes=changes)


@pytest.mark.parametrize(
    ("problem", "needs", "message"),
    [
        ("regression", "probabilities", "a regression gives `predictions` only"),
        ("multiclass", "ranking", "only a binary problem has one `ranking`"),
    ],
)
def test_a_metric_needs_what_its_problem_has(problem: str, needs: str, message: str) -> None:
    """Probabilities and a ranking are of classes."""
    changes = {"problem": problem, "data.positive": None, "data.label_rate": None}
    with pytest.raises(ConfigError, match=f"neg_cost.needs: {message}"):
        config(changes=changes, needs=needs)


def test_rules_without_own_metrics_have_the_digest_of_before() -> None:
    """Nothing is judged again because there may be more kinds of rules now."""
    policy = apples.config().gates
    since = {"own_metrics", "min_days_between_promotions", "calibration"}
    of_before = policy.model_dump(mode="json", exclude=since)
    assert policy.digest == sha256_of(canonical_json(of_before))
    assert policy.digest != config().gates.digest
