"""What a model predicts for the holdout, and those predictions as the metrics want them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import pandas as pd

from include.retraining.config.scorers import Scorer
from include.retraining.data.arrays import (
    Column,
    Labels,
    Numbers,
    Positions,
    Probabilities,
    RowMask,
    Targets,
)
from include.retraining.data.labels import Class, class_names, is_class
from include.retraining.training.estimator import Classifier, Estimator

PIECE_ROWS = 500_000


@dataclass(frozen=True)
class Predictions:
    """What one version predicts for the rows of a holdout, in their order."""

    values: Labels
    """Predicted classes or numbers."""
    probabilities: Probabilities | None
    """For a classifier that gives them: (rows, classes)."""
    classes: tuple[Class, ...] | None
    """For a classifier, its classes in the order of its probabilities."""
    scores: Numbers | None = None
    """For a classifier of two classes without probabilities, what its `decision_function` gives:
    the higher, the more it is the second class."""

    def take(self, places: Positions) -> Predictions:
        """Return those of some rows, in this order."""
        chances, scores = self.probabilities, self.scores
        return Predictions(
            values=self.values[places],
            probabilities=None if chances is None else chances[places],
            classes=self.classes,
            scores=None if scores is None else scores[places],
        )


@runtime_checkable
class Predictor(Protocol):
    """A model that gives all its predictions at once, as one in another language does."""

    def predictions(self, rows: pd.DataFrame) -> Predictions:
        """Return what it predicts for some rows."""
        ...


@dataclass(frozen=True, eq=False)
class Sample:
    """Labels and predictions of the same rows in the form that metrics take.

    Two are equal when they are one and the same, so that what was computed of one can be kept.

    Binary: labels and values are 1 for the positive class and 0 for any other, probabilities are
    those of the positive class. Multiclass: labels and values are positions in the list of classes
    that the labels hold, probabilities have a column for each of them; the value of a class that no
    label holds is the list's length. Regression: numbers, no probabilities.
    """

    problem: str
    labels: Targets
    values: Targets
    probabilities: Probabilities | None
    scores: Numbers | None = None
    """Binary: what `decision_function` says for the positive class, where there are no
    probabilities."""
    scorers: Mapping[str, Scorer] = field(default_factory=dict)
    """Of the metrics of the model's team, by the metric's name."""

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.labels)

    @property
    def ranking(self) -> Probabilities:
        """What puts a binary problem's rows in order: probabilities, else scores.

        Raises:
            ValueError: when there are neither.
        """
        ranking = self.scores if self.probabilities is None else self.probabilities
        if ranking is None:
            raise ValueError("the model gives neither probabilities nor decision_function()")
        return ranking

    def take(self, chosen: RowMask | Positions) -> Sample:
        """Return some of the rows, by position or by a mask."""
        return Sample(
            self.problem,
            self.labels[chosen],
            self.values[chosen],
            None if self.probabilities is None else self.probabilities[chosen],
            None if self.scores is None else self.scores[chosen],
            self.scorers,
        )


def predict(estimator: Estimator | Predictor, rows: pd.DataFrame, problem: str) -> Predictions:
    """Return what a fitted estimator, or a `Predictor`, predicts.

    An estimator is asked for `PIECE_ROWS` at a time, as it may copy what it is given.

    Raises:
        ValueError: when it does not give one prediction per row.
    """
    if isinstance(estimator, Predictor):
        return estimator.predictions(rows)
    starts = range(0, max(len(rows), 1), PIECE_ROWS)
    return joined([
        _predict(estimator, rows.iloc[start : start + PIECE_ROWS], problem) for start in starts
    ])


def joined(pieces: Sequence[Predictions]) -> Predictions:
    """Return the predictions for one part of the rows after another."""
    first = pieces[0]
    if len(pieces) == 1:
        return first
    return Predictions(
        values=np.concatenate([piece.values for piece in pieces]),
        probabilities=None
        if first.probabilities is None
        else np.concatenate([cast("Probabilities", piece.probabilities) for piece in pieces]),
        classes=first.classes,
        scores=None
        if first.scores is None
        else np.concatenate([cast("Numbers", piece.scores) for piece in pieces]),
    )


def _predict(estimator: Estimator, rows: pd.DataFrame, problem: str) -> Predictions:
    values = np.asarray(estimator.predict(rows))
    if values.shape == (len(rows), 1):
        values = values[:, 0]
    if values.shape != (len(rows),):
        raise ValueError(f"predict() gave {values.shape} values for {len(rows)} rows")
    if problem == "regression":
        return Predictions(values.astype(np.float64, copy=False), None, None)
    classes = class_names(cast("Classifier", estimator).classes_)
    probabilities = None
    if hasattr(estimator, "predict_proba"):
        probabilities = np.asarray(estimator.predict_proba(rows))
        if probabilities.shape != (len(rows), len(classes)):
            raise ValueError(
                f"predict_proba() gave {probabilities.shape} values for {len(rows)} rows and "
                f"{len(classes)} classes"
            )
    scores = None
    if probabilities is None and len(classes) == 2 and hasattr(estimator, "decision_function"):
        # As scikit-learn's scorers of a ranking do, for LinearSVC and its like.
        scores = np.asarray(estimator.decision_function(rows), dtype=np.float64)
        if scores.shape != (len(rows),):
            raise ValueError(f"decision_function() gave {scores.shape} values for {len(rows)} rows")
    if values.dtype.kind == "b":
        values = values.astype(np.int64)
    return Predictions(values, probabilities, classes, scores)


def prediction_columns(
    role: str, predictions: Predictions, problem: str, positive: Class | None
) -> dict[str, Column]:
    """Return predictions as the columns of the table that a run keeps.

    `ROLE` holds the values, `ROLE_probability` the probability of a binary problem's positive
    class, `ROLE_probability_CLASS` those of several classes, `ROLE_score` the decision function
    where there are no probabilities.
    """
    columns = {role: predictions.values}
    if predictions.scores is not None:
        columns[f"{role}_score"] = predictions.scores
    if predictions.probabilities is None or predictions.classes is None:
        return columns
    for number, name in enumerate(predictions.classes):
        if problem == "multiclass":
            columns[f"{role}_probability_{name}"] = predictions.probabilities[:, number]
        elif class_names([name]) == class_names([positive]):
            columns[f"{role}_probability"] = predictions.probabilities[:, number]
    return columns


def greatest_difference(first: Predictions, second: Predictions) -> float:
    """Return how far two versions' predictions for the same rows lie apart; 0 when they are equal.

    Numbers by their distance relative to the greatest of them, probabilities by their distance
    (NaN where only one of them is a number), two different classes are 1 apart.
    """
    if first.classes is not None and (first.values != second.values).any():
        return 1.0
    pairs = [] if first.classes is not None else [(first.values, second.values)]
    if first.probabilities is not None and second.probabilities is not None:
        pairs.append((first.probabilities, second.probabilities))
    return max((relative_distance(a, b) for a, b in pairs), default=0.0)


def relative_distance(first: Column, second: Column) -> float:
    """Return the greatest distance between two arrays of one shape, relative to the greatest size.

    Sizes below 1 count as 1, so that probabilities are compared as they are. Two NaN are equal.
    """
    apart = number_distance(first, second)
    sizes = np.abs(np.concatenate([np.ravel(first), np.ravel(second)]))
    return apart / float(max(np.nanmax(sizes[np.isfinite(sizes)], initial=1.0), 1.0))


def number_distance(first: Column, second: Column) -> float:
    """Return the greatest distance between two arrays of one shape; two NaN are equal."""
    with np.errstate(invalid="ignore"):
        apart = np.where(
            (first == second) | (np.isnan(first) & np.isnan(second)), 0.0, first - second
        )
    return float(np.abs(apart).max(initial=0.0))


def as_sample(
    labels: Labels,
    predictions: Predictions,
    *,
    problem: str,
    positive: Class | None,
    classes: tuple[Class, ...] | None,
) -> Sample:
    """Return labels and predictions in the form that metrics take.

    Args:
        labels: as `label_values` returns them.
        predictions: for the same rows.
        problem: `binary`, `multiclass` or `regression`.
        positive: for a binary problem, the class that means yes.
        classes: for a multiclass problem, every class that the labels hold.
    """
    probabilities = predictions.probabilities
    if problem == "regression":
        return Sample(problem, labels, predictions.values, None)
    known = class_names(predictions.classes or ())
    if problem == "binary":
        (wanted,) = class_names([positive])
        if probabilities is not None:
            column = known.index(wanted) if wanted in known else None
            probabilities = np.zeros(len(labels)) if column is None else probabilities[:, column]
        scores = predictions.scores
        if scores is not None and known[1] != wanted:
            scores = -scores
        is_yes = is_class(predictions.values, positive).astype(np.int8)
        truth = is_class(labels, positive).astype(np.int8)
        return Sample(problem, truth, is_yes, probabilities, scores)
    return _sample_of_classes(labels, predictions, class_names(classes or ()))


def _sample_of_classes(
    labels: Labels, predictions: Predictions, classes: tuple[Class, ...]
) -> Sample:
    """Return the sample of a multiclass problem, with the probabilities of these classes only.

    A prediction of a class that is left out has the position behind the last one: it is wrong.
    Where classes are left out, the probabilities of the others are divided by their sum, which
    makes them those of a row that is known to be of one of these.
    """
    index = pd.Index(list(classes), dtype=object)
    probabilities = predictions.probabilities
    if probabilities is not None:
        columns = _positions(index, np.array(predictions.classes or (), dtype=object))
        spread = np.zeros((len(labels), len(index)))
        spread[:, columns[columns >= 0]] = probabilities[:, columns >= 0]
        if (columns < 0).any():
            total = spread.sum(axis=1, keepdims=True)
            even = np.full_like(spread, 1 / max(len(index), 1))
            spread = np.divide(spread, total, where=total != 0, out=even)
        probabilities = spread
    values = _positions(index, predictions.values)
    return Sample(
        "multiclass",
        _positions(index, labels),
        np.where(values < 0, len(index), values),
        probabilities,
    )


def _positions(index: pd.Index[Any], values: Labels) -> Positions:
    """Return where in a list of classes each value is; -1 where it is not."""
    codes, different = pd.factorize(values, use_na_sentinel=False)
    return index.get_indexer(pd.Index(class_names(different), dtype=object))[codes]


def rows_digest(*columns: Column) -> str:
    """Return the SHA-256 of some columns' values, row by row, in their order."""
    digest = hashlib.sha256()
    for column in columns:
        digest.update(f"{column.dtype.kind}{len(column)};".encode())
        digest.update(pd.util.hash_array(column, categorize=False).tobytes())
    return digest.hexdigest()
