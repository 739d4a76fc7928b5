"""Limits that no score can be held against, and what was probably meant by them."""

from __future__ import annotations

from typing import Any

import pytest

from include.retraining.config.metric_ranges import limits_out_of_range
from tests.support.gate_checks import make_policy


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"minimum": {"accuracy": 95}}, "95 % is 0.95"),
        ({"metric": "neg_brier_score", "minimum": {"neg_brier_score": 0.2}}, "negated, -0.2"),
        ({"minimum": {"accuracy": 950}}, ""),
        ({"champion.margin": 2.0}, "which allows anything"),
    ],
)
def test_a_limit_that_a_metric_cannot_have_is_named(changes: dict[str, Any], hint: str) -> None:
    """With the number that was probably meant, where there is one."""
    (line,) = limits_out_of_range(make_policy({"slices": [], "minimum": {}, **changes}))
    assert line.startswith("gates.")
    assert hint in line
    assert ("%" in line, "negated" in line) == ("%" in hint, "negated" in hint)


def test_limits_within_the_range_are_none() -> None:
    """The strict policy of the tests has them."""
    assert list(limits_out_of_range(make_policy({}))) == []
