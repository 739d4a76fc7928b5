"""Permutation importances: what a version's score loses without one of its columns.

Shown beside an evaluation, never judged: no rule of the gate reads them.
"""

from __future__ import annotations

from include.retraining.documents import Document


class Loss(Document):
    """What a score loses, in the metric's unit, greater is a greater loss; with a 95 % interval."""

    value: float
    lower: float
    upper: float


class ColumnImportance(Document):
    """One column: what each version loses when its values are those of other rows."""

    column: str
    challenger: Loss | None
    """None when the challenger does not read the column."""
    champion: Loss | None
    """None when the champion does not read the column, or was not measured."""
    change: Loss | None
    """The challenger's minus the champion's, on the same rows; a version that does not read the
    column loses nothing. None when the champion was not measured."""


class Importances(Document):
    """The columns that move a run's challenger, or its champion, most."""

    format: int = 1
    run_id: str
    report_digest: str
    """SHA-256 of the evaluation report that they stand beside."""
    metric: str | None
    """Whose loss it is: the decision metric, or the first other one that is not the team's own."""
    rows: int = 0
    """How many rows of the holdout were asked again, drawn at random."""
    repeats: int = 0
    """How often each of them was asked for each column, each time with another row's value."""
    columns_read: int = 0
    """By the challenger or the champion."""
    columns: tuple[ColumnImportance, ...] = ()
    """Those whose shuffling moves the predictions most, by their importance."""
    not_measured: str | None = None
    """Why the challenger has none."""
    champion_not_measured: str | None = None
    """Why the champion has none; None as well when nothing served."""
    seconds: float
    """What measuring them took."""
    evaluation_seconds: float
    """What the evaluation had taken by then, these seconds included."""
