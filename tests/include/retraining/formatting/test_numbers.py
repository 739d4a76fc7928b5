"""Numbers and names as people read them."""

from __future__ import annotations

import pytest

from include.retraining.formatting.numbers import (
    better_words,
    distinguishable,
    metric_name,
    metric_value,
    number,
    signed,
)
from include.retraining.formatting.text import truncate


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.8, "0.80"),
        (0.71234, "0.7123"),
        (1.0, "1"),
        (45.2, "45.2"),
        (1234567.8, "1,234,568"),
        (0.00001234, "1.234e-05"),
        (-0.5, "-0.50"),
        (1e20, "1e+20"),
    ],
)
def test_number(value: float, text: str) -> None:
    """A number has four significant digits, and an exponent only where nothing else is shorter."""
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "limit", "texts"),
    [
        (0.8, 0.8, ("0.80", "0.80")),
        (0.71, 0.8, ("0.71", "0.80")),
        (0.79996, 0.8, ("0.79996", "0.80")),
        (0.8 - 1e-15, 0.8, ("0.799999999999999", "0.8")),
    ],
)
def test_apart(value: float, limit: float, texts: tuple[str, str]) -> None:
    """Two numbers that differ are never shown as the same."""
    assert distinguishable(value, limit) == texts


def test_signed() -> None:
    """A difference has its sign, also where it is plus."""
    assert [signed(value) for value in (0.011, -0.5, 0.0)] == ["+0.011", "-0.50", "+0"]


def test_metric_name() -> None:
    """A negated error is named as the error."""
    assert metric_name("neg_mean_absolute_error") == "mean absolute error"


def test_an_error_is_positive() -> None:
    """And less of it is better; no error at all is 0 without a sign."""
    assert metric_value("neg_brier_score", -0.12) == 0.12
    assert number(metric_value("neg_brier_score", 0.0)) == "0"
    assert metric_value("accuracy", 0.9) == 0.9
    assert better_words("neg_brier_score") == "lower is better"
    assert better_words("accuracy") == "higher is better"


def test_cut() -> None:
    """A long text is cut to one line of a length that says so."""
    assert truncate("one\n  two", 20) == "one two"
    assert truncate("x" * 50, 10) == "x" * 9 + "…"
