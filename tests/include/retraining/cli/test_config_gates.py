"""What `validate-config` warns of in a model's gates."""

from __future__ import annotations

from typing import Any

import pytest

from include.retraining.cli.config_gates import gate_warnings
from tests.support.run_factory import CONFIG


def warnings(**gates: Any) -> list[str]:
    """What is said of a model with these gates and 200 rows, of which 40 are held out."""
    data = CONFIG.data.model_copy(update={"min_rows": 200})
    changed = CONFIG.model_dump(mode="json")
    changed["gates"] |= gates
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


def test_nothing_is_known_before_of_a_metric_of_probabilities() -> None:
    """How narrow an interval of the area under the curve can be depends on the versions."""
    assert warnings(metric="roc_auc", champion={"margin": 0.001}) == []
