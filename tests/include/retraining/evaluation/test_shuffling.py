from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.retraining.evaluation import shuffling
from include.retraining.evaluation.shuffling import Shuffled, Shuffler, random_order
from include.retraining.training.predictions import Predictions


class Timed:
    """A regression that takes time by a clock of its own, and remembers what it was asked."""

    def __init__(self, fixed: float = 0.0, per_row: float = 0.0) -> None:
        self.fixed, self.per_row = fixed, per_row
        self.now = 0.0
        self.asked: list[pd.DataFrame] = []

    def predict(self, rows: pd.DataFrame) -> Any:
        """Return twice `a`, and set the clock."""
        self.now += self.fixed + self.per_row * len(rows)
        self.asked.append(rows)
        return rows["a"].to_numpy() * 2.0


def ask(model: Timed, rows: int = 600, columns: int = 3, *, so_far: float = 100.0) -> Any:
    """Ask a model about rows whose cells are the number of their row."""
    cells = np.arange(rows, dtype=float)
    frame = pd.DataFrame(dict.fromkeys("abcdefghijklmnopqrstuvwxyz"[:columns], cells))
    shuffler = Shuffler("r2", random_order(rows), lambda: so_far, clock=lambda: model.now)
    predictions = Predictions(model.predict(frame), None, None)
    began, model.asked = model.now, []
    latency_ms = 1000 * (model.fixed + 1000 * model.per_row)
    given = shuffler(model, frame, predictions, latency_ms)
    return given, model.now - began


def test_one_column_at_a_time_has_the_values_of_other_rows():
    """In each part of what is asked, one column comes from other rows, and the others do not."""
    model = Timed()
    shuffled, _ = ask(model, rows=300)
    assert isinstance(shuffled, Shuffled)
    assert (shuffled.rows, shuffled.repeats) == (300, shuffling.REPEATS)
    asked = model.asked[0]
    parts = np.split(asked.to_numpy(), 3)
    for place, part in enumerate(parts):
        others = [part[:, column] for column in range(3) if column != place]
        assert (others[0] == others[1]).all()
        assert (part[:, place] != others[0]).all(), "no row keeps its own value"


def test_answers_are_kept_by_column_and_repeat():
    """What it says with `a` shuffled differs in every row, and with `b` in none."""
    model = Timed()
    shuffled, _ = ask(model)
    own = 2.0 * random_order(600)
    assert shuffled.answers["a"].shape == (shuffling.REPEATS, 600)
    assert (shuffled.answers["b"] == own).all()
    assert (shuffled.answers["a"] != own).all()
    assert (np.sort(shuffled.answers["a"][0]) == np.sort(own)).all(), "a permutation"


COSTS = list(itertools.product((0.0, 0.004, 0.2), (0.0, 1e-6, 1e-4, 1e-2), (0.1, 2.0, 50.0)))


@pytest.mark.parametrize("columns", [1, 20])
def test_the_time_is_never_exceeded(columns: int):
    """However long a call and a row take, all calls together take no more than their share."""
    reasons = 0
    for fixed, per_row, so_far in COSTS:
        shuffled, took = ask(Timed(fixed, per_row), columns=columns, so_far=so_far)
        assert took <= shuffling.SHARE * so_far + 1e-9, (fixed, per_row, so_far)
        reasons += isinstance(shuffled, str)
    assert 0 < reasons < len(COSTS)


def test_less_time_means_fewer_repeats_and_then_fewer_rows():
    """All columns are asked with any time; it is rows and repeats that get fewer."""
    sizes = []
    for so_far in (100.0, 4.0, 1.6):
        shuffled, _ = ask(Timed(0.0, 2e-5), rows=2_000, columns=2, so_far=so_far)
        assert set(shuffled.answers) == {"a", "b"}
        sizes.append((shuffled.repeats, shuffled.rows))
    assert sizes[0] == (shuffling.REPEATS, 2_000)
    assert sizes[1][0] < sizes[0][0]
    assert sizes[2][1] < 2_000


@pytest.mark.parametrize(
    ("rows", "so_far", "why"),
    [(50, 100.0, "the holdout has 50 rows"), (600, 0.001, "are enough for 0 rows of 3 columns")],
)
def test_it_says_why_nothing_is_asked(rows: int, so_far: float, why: str):
    """Too few rows, and too little time, are each named with their numbers."""
    given, _ = ask(Timed(0.0, 1e-4), rows=rows, so_far=so_far)
    assert why in given


def test_an_estimator_that_refuses_such_rows_is_no_error():
    """What it raises becomes the reason, without its text."""

    class Refusing(Timed):
        def predict(self, rows: pd.DataFrame) -> Any:
            if len(self.asked) or len(rows) != 600:
                raise ValueError("the cell 4711")
            return super().predict(rows)

    given, _ = ask(Refusing())
    assert "cannot predict rows whose columns are shuffled: ValueError" in given
    assert "4711" not in given
