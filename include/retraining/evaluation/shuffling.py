"""What a version predicts when one column's values are those of other rows, within a time limit.

The rows are put in a random order once, and the value of a column comes from the row so many places
later, the last before the first: a permutation without a row that keeps its own value (Breiman,
Machine Learning 45, 2001; Fisher, Rudin and Dominici, JMLR 20, 2019). All columns are asked in one
call, a few rows first and more with each call that was fast enough, so that the time decides how
many rows are asked and never how many columns.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.retraining.data.arrays import Positions
from include.retraining.evaluation.influence import TABLE_METRICS
from include.retraining.runs.foreign_errors import withheld
from include.retraining.training.predictions import Predictions, Predictor

log = logging.getLogger(__name__)

SHARE = 0.03
"""Of the evaluation's time so far, for each of challenger and champion."""
MAX_ROWS = 5_000
MIN_ROWS = 100
REPEATS = 5
FIRST_ROWS = 1_000
"""Of the first call, all columns together: as many as its latency was measured with."""
MAX_ROWS_A_CALL = 20_000
MAX_CELLS = 5_000_000
"""Of what is asked in a call, and of what is kept of the answers."""
GROWTH = 4

Answers = NDArray[Any]
"""(rows,) or (rows, classes): what a version says."""
Kind = Literal["values", "probabilities", "scores"]


class Stopwatch:
    """A time limit, and how much of it is left."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds = seconds
        self._clock = clock
        self._began = clock()

    @property
    def elapsed(self) -> float:
        """The seconds since it was started."""
        return self._clock() - self._began

    @property
    def left(self) -> float:
        """The seconds that are left; less than 0 when it was exceeded."""
        return self.seconds - self.elapsed


@dataclass(frozen=True)
class Shuffled:
    """A version's answers for the first rows of the order, for each column and repeat."""

    kind: Kind
    rows: int
    repeats: int
    answers: Mapping[str, Answers] = field(repr=False)
    """By column, (repeats, rows) or (repeats, rows, classes)."""
    seconds: float = 0.0


@dataclass(frozen=True)
class Shuffler:
    """Asks versions about the same rows with the same values."""

    metric: str
    """What the answers are scored by: it needs classes, or probabilities, or scores."""
    order: Positions
    """(rows,): at most `MAX_ROWS` rows of the holdout, in random order."""
    time_so_far: Callable[[], float]
    """The seconds that the evaluation has taken."""
    clock: Callable[[], float] = time.perf_counter

    def __call__(
        self, model: Any, frame: pd.DataFrame, predictions: Predictions, latency_ms: float
    ) -> Shuffled | str:
        """Ask a version, or return why it is not asked. Nothing that it does is an error.

        Args:
            model: an estimator, started.
            frame: the holdout, with the version's features.
            predictions: its own for that.
            latency_ms: the time that it needs for 1,000 rows.
        """
        if isinstance(model, Predictor):
            return "it predicts by a command, which would have to answer for each column again"
        if not len(frame.columns):
            return "it reads no column"
        if len(self.order) < MIN_ROWS:
            return f"the holdout has {len(self.order):,} rows, at least {MIN_ROWS} are needed"
        watch = Stopwatch(SHARE * self.time_so_far(), self.clock)
        try:
            asked = _Questions(model, frame, predictions, self).ask(watch, latency_ms / 1_000)
        except Exception as error:  # noqa: BLE001 an explanation must not fail an evaluation
            return f"it cannot predict rows whose columns are shuffled: {withheld(error, log)}"
        if asked.rows < MIN_ROWS:
            return (
                f"{watch.seconds:.2g} s, a part of the evaluation's time, are enough for "
                f"{asked.rows:,} rows of {len(frame.columns):,} columns, at least {MIN_ROWS} are "
                "needed"
            )
        return asked

    def donors(self, rows: int, start: int, repeat: int) -> Positions:
        """Return the rows that give their values to some rows of the order."""
        places = (np.arange(start, start + rows) + repeat + 1) % len(self.order)
        return np.asarray(self.order[places])


def random_order(rows: int) -> Positions:
    """Return the numbers of at most `MAX_ROWS` rows in random order, the same each time."""
    return np.asarray(np.random.default_rng(0).permutation(rows)[:MAX_ROWS])


def kind_for(metric: str, predictions: Predictions) -> Kind:
    """Return what a version must be asked for, for a metric."""
    if predictions.classes is None or metric in TABLE_METRICS:
        return "values"
    return "probabilities" if predictions.probabilities is not None else "scores"


def answered(predictions: Predictions, kind: Kind, answers: Answers) -> Predictions:
    """Return answers of one kind as predictions. Of a metric of probabilities, no class counts."""
    if kind == "values":
        return replace(predictions, values=answers, probabilities=None, scores=None)
    values = np.resize(predictions.values, len(answers))
    if kind == "probabilities":
        return replace(predictions, values=values, probabilities=answers)
    return replace(predictions, values=values, scores=answers)


def taken(predictions: Predictions, chosen: Positions) -> Predictions:
    """Return what was predicted for some of the rows."""
    chances, scores = predictions.probabilities, predictions.scores
    return replace(
        predictions,
        values=predictions.values[chosen],
        probabilities=None if chances is None else chances[chosen],
        scores=None if scores is None else scores[chosen],
    )


@dataclass(frozen=True)
class _Questions:
    """What one version is asked."""

    model: Any
    frame: pd.DataFrame
    predictions: Predictions
    how: Shuffler

    @cached_property
    def kind(self) -> Kind:
        return kind_for(self.how.metric, self.predictions)

    def ask(self, watch: Stopwatch, expected: float) -> Shuffled:
        """Ask about as many rows, and then as often, as the time allows.

        Args:
            watch: the time.
            expected: the seconds that it needs for `FIRST_ROWS`.
        """
        first = self._first_pass(watch, expected)
        if first is None:
            return Shuffled(self.kind, 0, 0, {}, watch.elapsed)
        rows, took = first.shape[1], watch.elapsed
        passes = [first]
        while rows >= MIN_ROWS and len(passes) < REPEATS and took <= watch.left:
            began = watch.elapsed
            pieces = [
                self._piece(start, min(self._most, rows - start), repeat=len(passes))
                for start in range(0, rows, self._most)
            ]
            passes.append(np.concatenate(pieces, axis=1))
            took = watch.elapsed - began
        answers = {
            str(name): np.stack([one[place] for one in passes])
            for place, name in enumerate(self.frame.columns)
        }
        return Shuffled(self.kind, rows, len(passes), answers, watch.elapsed)

    def _first_pass(self, watch: Stopwatch, expected: float) -> Answers | None:
        """Return the answers for the first rows, (columns, rows, …); None without time for any.

        A call is taken to need as long as the last one, however few rows it has, and for more rows
        as much longer.
        """
        columns = len(self.frame.columns)
        limit = min(len(self.how.order), self._room)
        size = min(max(1, FIRST_ROWS // columns), limit)
        expected *= max(1.0, size * columns / FIRST_ROWS)
        done, pieces = 0, []
        while size and expected <= watch.left:
            began = watch.elapsed
            pieces.append(self._piece(done, size, repeat=0))
            done += size
            took = max(watch.elapsed - began, 1e-9)
            affordable = int(size * max(watch.left, 0.0) / took)
            grown = min(GROWTH * size, affordable, self._most, limit - done)
            expected = took * max(1.0, grown / size)
            size = grown
        return np.concatenate(pieces, axis=1) if pieces else None

    @property
    def _most(self) -> int:
        """How many rows of the order one call may have, for all columns."""
        columns = len(self.frame.columns)
        return max(1, min(MAX_ROWS_A_CALL, MAX_CELLS // columns) // columns)

    @property
    def _room(self) -> int:
        """For how many rows the answers may be kept."""
        width = np.atleast_2d(getattr(self.predictions, self.kind).T).shape[0]
        return MAX_CELLS // (len(self.frame.columns) * REPEATS * int(width))

    def _piece(self, start: int, rows: int, *, repeat: int) -> Answers:
        """Ask once for some rows, with each of the columns shuffled: (columns, rows, …)."""
        names = list(self.frame.columns)
        own = np.tile(self.how.order[start : start + rows], len(names))
        given = self.how.donors(rows, start, repeat)
        cells = {}
        for place, name in enumerate(names):
            rows_of_column = own.copy()
            rows_of_column[place * rows : (place + 1) * rows] = given
            cells[name] = self.frame[name].array.take(rows_of_column)
        answers = _said(self.model, pd.DataFrame(cells), self.kind)
        return answers.reshape(len(names), rows, *answers.shape[1:])


def _said(model: Any, rows: pd.DataFrame, kind: Kind) -> Answers:
    """Return what an estimator says of some rows.

    Raises:
        ValueError: when it does not give an answer for each row.
    """
    ask = {
        "values": lambda: model.predict(rows),
        "probabilities": lambda: model.predict_proba(rows),
        "scores": lambda: model.decision_function(rows),
    }
    answers = np.asarray(ask[kind]())
    if kind == "values":
        answers = answers.reshape(len(answers))
    if len(answers) != len(rows):
        raise ValueError(f"{len(answers)} answers for {len(rows)} rows")
    return answers.astype(np.int64) if answers.dtype.kind == "b" else answers
