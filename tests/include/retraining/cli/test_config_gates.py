"""What `validate-config` warns of in a model's gates."""

from __future__ import annotations

from typing import Any

import pytest

from include.retraining.cli.config_gates import gate_warnings
from include.retraining.config.model import load_model, model_names
from tests.support.run_factory import CONFIG


def warnings(**gates: Any) -> list[str]:
    """What is said of a model with these gates and 200 rows, of which 40 are held out."""
    data = CONFIG.data.model_copy(update={"min_rows": 200})
    changed = CONFIG.model_dump(mode="json")
    changed["gates"] |= {"min_holdout_rows": 40, **gates}
    config = type(CONFIG).model_validate(changed)
    return list(gate_warnings(config.model_copy(update={"data": data})))


def test_a_model_with_a_minimum_and_the_default_margin_is_fine() -> None:
    """Nothing is said about it."""
    assert warnings(champion={}) == []


def test_a_model_without_a_minimum_is_told() -> None:
    """Without a minimum, only the naive baseline and what serves say what is good enough."""
    (line,) = warnings(minimum={}, champion={})
    assert line.startswith("gates.minimum: names nothing")


def test_a_margin_of_nothing_is_told() -> None:
    """A margin of 0 refuses every version that is merely equal."""
    (line,) = warnings(champion={"margin": 0.0})
    assert "0 asks to be better" in line


@pytest.mark.parametrize(("margin", "is_told"), [(0.08, True), (0.088, False)])
def test_a_margin_that_can_never_be_met_is_told(margin: float, is_told: bool) -> None:
    """With 40 rows, two versions that decide alike have an interval of ± 0.0876 by accuracy."""
    found = warnings(champion={"margin": margin})
    assert len(found) == is_told
    if is_told:
        assert "± 0.088 at best; about 45 would do" in found[0]


@pytest.mark.parametrize("rows", [40, 41])
def test_a_holdout_that_the_smallest_delivery_does_not_fill_is_told(rows: int) -> None:
    """A run whose delivery is accepted and has too few rows to judge by comes to nothing."""
    found = warnings(min_holdout_rows=rows, champion={})
    assert len(found) == (rows > 40)
    if found:
        assert found[0] == (
            "gates.min_holdout_rows: 41 cannot be met by a delivery of data.min_rows (200) rows: "
            "about 40 of them are in the holdout; at least 205 would do"
        )


def test_how_many_rows_are_the_newest_is_not_known_before() -> None:
    """A holdout by time has as many rows as its days have."""
    split = {"by": "time", "column": "day", "holdout_days": 7}
    config = CONFIG.model_dump(mode="json")
    config["data"] |= {"split": split, "min_rows": 1}
    config["gates"] |= {"min_holdout_rows": 1000, "champion": {}}
    assert list(gate_warnings(type(CONFIG).model_validate(config))) == []


@pytest.mark.parametrize("name", model_names())
def test_the_models_that_ship_are_not_warned_of(name: str) -> None:
    """Who copies one begins with nothing to mend."""
    assert list(gate_warnings(load_model(name))) == []


def test_nothing_is_known_before_of_a_metric_of_probabilities() -> None:
    """How narrow an interval of the area under the curve can be depends on the versions."""
    assert warnings(metric="roc_auc", champion={"margin": 0.001}) == []
