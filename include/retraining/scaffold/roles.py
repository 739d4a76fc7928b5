"""What each column of a sample is for: key, label, protected, leaking, read or not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from include.retraining.exceptions import ConfigError
from include.retraining.scaffold.columns import Column, describe
from include.retraining.scaffold.key_and_label import Label, guess_key, guess_label
from include.retraining.scaffold.leaks import leaking_columns
from include.retraining.scaffold.protected import (
    Attribute,
    attribute_of,
    guess_protected,
    is_named_like_age,
)
from include.retraining.scaffold.sample import Sample

MAX_WORDS = 50
"""A column of more different texts is no feature of a first model."""


@dataclass(frozen=True)
class Roles:
    """What was guessed of the columns."""

    columns: Mapping[str, Column]
    key: str
    label: Label
    protected: tuple[Attribute, ...]
    leaks: tuple[str, ...]
    """Columns that alone give the label away."""
    numbers: tuple[str, ...]
    """Features that are numbers."""
    words: tuple[str, ...]
    """Features that are classes."""
    moments: tuple[str, ...]
    """Dates and times, by which rows can be divided and their age be known."""
    left_out: Mapping[str, str]
    """The other columns, each with the reason why the model does not read it."""

    @property
    def features(self) -> tuple[str, ...]:
        """What the model reads."""
        return (*self.numbers, *self.words)

    @property
    def ages(self) -> tuple[str, ...]:
        """Features that are named like an age."""
        return tuple(name for name in self.features if is_named_like_age(name))


def guess_roles(sample: Sample, key: str | None, label: str | None) -> Roles:
    """Guess what each column of a sample is for.

    Args:
        sample: the sample.
        key: the key, where the user names it.
        label: the label, where the user names it.

    Raises:
        ConfigError: when no column can be the key or the label, or none is left to learn from.
    """
    columns = describe(sample.table)
    is_key_guessed = key is None
    key = guess_key(columns, key)
    predicted = guess_label(columns, key, label, is_key_guessed=is_key_guessed)
    others = [one for name, one in columns.items() if name not in {key, predicted.column}]
    left_out = {one.name: reason for one in others if (reason := _why_left_out(one)) is not None}
    able = [one for one in others if one.name not in left_out]
    leaks = _leaks(sample, predicted, able)
    protected = guess_protected(one for one in others if one.name not in leaks)
    audited = {name for attribute in protected for name in attribute.columns}
    left_out = {name: reason for name, reason in left_out.items() if name not in audited}
    read = [one for one in able if one.name not in {*leaks, *audited}]
    if not read:
        raise ConfigError(
            f"{sample.path.name}: no column is left to learn from: besides key and label there are "
            + "; ".join([*(f"{name} ({why})" for name, why in left_out.items()), *leaks, *audited])
        )
    return Roles(
        columns=columns,
        key=key,
        label=predicted,
        protected=protected,
        leaks=leaks,
        numbers=tuple(one.name for one in read if one.is_numeric),
        words=tuple(one.name for one in read if not one.is_numeric),
        moments=tuple(one.name for one in others if one.kind == "moment"),
        left_out=left_out,
    )


def _leaks(sample: Sample, label: Label, able: list[Column]) -> tuple[str, ...]:
    frame = sample.table.select([label.column, *(one.name for one in able)]).to_pandas()
    return tuple(leaking_columns(frame, label.column, able, problem=label.problem))


def _why_left_out(column: Column) -> str | None:
    """Return why a column is no feature of a first model, or None where it may be one."""
    reason = None
    if column.kind == "moment":
        reason = "a date or time: make a number of it in the estimator"
    elif column.seems is not None:
        reason = column.seems
    elif column.kind == "other":
        reason = "of a type that the template does not read"
    elif column.distinct == 0:
        reason = "empty in the sample"
    elif column.distinct == 1 and not column.missing:
        reason = "the same in all rows of the sample"
    elif attribute_of(column.name) is not None:
        reason = "named like a protected attribute"
    elif column.kind == "whole" and column.names_rows and column.rows > MAX_WORDS:
        reason = "another name of each row, as it seems"
    elif column.kind == "truth" and column.missing:
        reason = "true or false with gaps: fill them in the estimator"
    elif column.kind == "text" and column.distinct > MAX_WORDS:
        reason = f"{column.distinct:,} different texts"
    return reason
