"""What a metric loses when a column is shuffled, with an interval by the rows' influences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit  # type: ignore[import-untyped]

from include.retraining.config.model import ModelConfig
from include.retraining.data.arrays import Labels
from include.retraining.data.labels import class_names
from include.retraining.evaluation.comparison import TAIL
from include.retraining.evaluation.influence import influence
from include.retraining.evaluation.metrics import compute, why_undefined
from include.retraining.evaluation.shuffling import Shuffled, answered
from include.retraining.gate.importance import Loss
from include.retraining.training.predictions import Predictions, Sample, as_sample


@dataclass(frozen=True)
class Effect:
    """What shuffling a column does to a metric."""

    value: float
    """How much is lost."""
    influences: NDArray[np.float64]
    """(repeats, rows): each answer's influence on that."""

    def loss(self, others: int) -> Loss:
        """Return it with its interval.

        An answer depends on two rows: the one that is asked and the one that gives a value. Answers
        that share a row are not independent, and the variance counts them as pairs: the
        dyadic-robust variance (Fafchamps and Gubert, Journal of Development Economics 83, 2007;
        Aronow, Samii and Assenova, Political Analysis 23, 2015). It is never less than that by the
        rows that are asked.

        Args:
            others: the rows that values are taken from.
        """
        repeats, rows = self.influences.shape
        parts = self.influences / repeats
        by_row = np.zeros(others)
        by_row[:rows] = parts.sum(axis=0)
        asked = float((by_row**2).sum())
        for repeat in range(repeats):
            by_row[(np.arange(rows) + repeat + 1) % others] += parts[repeat]
        # Two rows that were not seen, as in a comparison, as great as the greatest that was: else
        # squared errors of 200 rows are trusted too much.
        unseen = np.full(2, np.abs(by_row).max())
        squares = np.concatenate((by_row, unseen)) ** 2
        variance = max(float(squares.sum() - (parts**2).sum()), asked)
        if variance == 0:
            return Loss(value=self.value, lower=self.value, upper=self.value)
        # Few rows that carry it all count as few (Shoemaker, The American Statistician 57, 2003).
        kurtosis = rows * float((squares**2).sum()) / float(squares.sum()) ** 2
        freedom = 2 * rows / max(kurtosis - 1, 1e-9)
        reach = float(stdtrit(freedom, 1 - TAIL)) * math.sqrt(variance) / rows
        return Loss(value=self.value, lower=self.value - reach, upper=self.value + reach)


class Undefined(ValueError):
    """A metric means nothing on some rows."""


@dataclass(frozen=True)
class Scoring:
    """The rows that versions are scored on, and by what."""

    metric: str
    config: ModelConfig
    labels: Labels
    """Of the rows."""
    repeats: int

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.labels)

    def nothing(self) -> Effect:
        """Return the effect of a column that a version does not read."""
        return Effect(0.0, np.zeros((self.repeats, self.rows)))

    def score(self, predictions: Predictions, repeats: int) -> tuple[float, NDArray[np.float64]]:
        """Return the metric and each row's influence on it.

        Raises:
            Undefined: with the reason.
        """
        sample = self._sample(predictions, np.tile(self.labels, repeats))
        value = compute(self.metric, sample)
        if value is None:
            raise Undefined(why_undefined(self.metric, sample) or "it is no finite number")
        return value, influence(self.metric, sample).rows.reshape(repeats, self.rows)

    def _sample(self, predictions: Predictions, labels: Labels) -> Sample:
        several = self.config.problem == "multiclass"
        return as_sample(
            labels,
            predictions,
            problem=self.config.problem,
            positive=self.config.data.positive,
            classes=class_names(np.unique(labels)) if several else None,
        )


class Version:
    """One version's answers, without and with shuffled columns."""

    def __init__(self, predictions: Predictions, shuffled: Shuffled, scoring: Scoring) -> None:
        """Score it as it is.

        Raises:
            Undefined: when the metric means nothing for it.
        """
        self._scoring, self._shuffled = scoring, shuffled
        self._predictions = predictions
        self._own, self._influences = scoring.score(predictions, 1)

    def movements(self) -> dict[str, float]:
        """Return how far shuffling each column moves its answers, 1 for the one that moves most."""
        own = np.asarray(getattr(self._predictions, self._shuffled.kind))
        is_class = self._shuffled.kind == "values" and self._predictions.classes is not None
        moved = {}
        for column, all_answers in self._shuffled.answers.items():
            answers = all_answers[: self._scoring.repeats, : self._scoring.rows]
            apart = answers != own if is_class else np.abs(answers - own)
            moved[column] = float(apart.mean())
        most = max(moved.values())
        return {column: value / most if most else 0.0 for column, value in moved.items()}

    def effect(self, column: str) -> Effect | None:
        """Return what shuffling a column costs it; None for a column that it does not read.

        Raises:
            Undefined: when the metric means nothing for what it answers then.
        """
        if column not in self._shuffled.answers:
            return None
        scoring = self._scoring
        answers = self._shuffled.answers[column][: scoring.repeats, : scoring.rows]
        if (answers == np.asarray(getattr(self._predictions, self._shuffled.kind))).all():
            return scoring.nothing()  # and not the rounding of a mean over more rows
        answers = answers.reshape(scoring.repeats * scoring.rows, *answers.shape[2:])
        said = answered(self._predictions, self._shuffled.kind, answers)
        value, influences = scoring.score(said, scoring.repeats)
        return Effect(self._own - value, self._influences - influences)
