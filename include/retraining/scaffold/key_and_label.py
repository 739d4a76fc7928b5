"""Guessing which column names a row, which one is predicted, and as what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from include.retraining.data.labels import class_names
from include.retraining.exceptions import ConfigError
from include.retraining.formatting.text import truncate
from include.retraining.scaffold.columns import Column

MAX_CLASSES = 50
MAX_NUMBERED_CLASSES = 10
"""A label of more different whole numbers is taken for an amount."""
MAX_SHOWN = 12
LAST_SHOWN = 4
"""Of more, so many are the last ones: the label often is."""
LABELS = ("label", "target", "y", "outcome", "class", "response", "churn", "churned", "default")
YES = frozenset({"1", "true", "yes", "y", "t", "positive", "approved", "churned", "default"})

Problem = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True)
class Label:
    """The column to predict, and as what."""

    column: str
    problem: Problem
    positive: int | str | None
    """The class that means yes, of a binary problem."""


def guess_key(columns: Mapping[str, Column], given: str | None) -> str:
    """Return the column that names a row.

    Raises:
        ConfigError: when the one that the user gave cannot, or none looks like it.
    """
    if given is not None:
        problem = _why_no_key(require_column(columns, given, "--key"))
        if problem is not None:
            raise ConfigError(f"--key {given!r}: {problem}")
        return given
    able = [column for column in columns.values() if _why_no_key(column) is None]
    named = sorted(filter(_is_named_like_key, able), key=lambda column: len(column.name))
    if named:
        return named[0].name
    if able and able[0].name == next(iter(columns)):
        return able[0].name
    hint = f"; none that may be is named like one: {_listed(able)}: give --key" if able else ""
    near = [column for column in columns.values() if _is_named_like_key(column)]
    reasons = "".join(f"; {column.name!r} {_why_no_key(column)}" for column in near[:3])
    raise ConfigError(
        "no column looks like the key: whole numbers or text, no gap, no value twice, the same for "
        f"a row in every delivery{hint or reasons}; where rows never move, add their number"
    )


def guess_label(
    columns: Mapping[str, Column], key: str, given: str | None, *, is_key_guessed: bool
) -> Label:
    """Return the column to predict, and the kind of problem.

    Raises:
        ConfigError: when the one that the user gave is not there or cannot be predicted, or none is
            named like a label.
    """
    if given is not None:
        column = require_column(columns, given, "--label")
    else:
        others = {name.lower(): name for name in columns if name != key}
        name = next((others[word] for word in LABELS if word in others), None)
        if name is None:
            raise ConfigError(
                "no column is named like a label "
                f"({', '.join(LABELS[:5])}, …): give --label, one of: {_listed(others.values())}"
            )
        column = columns[name]
    if column.name == key:
        why = "was guessed to be the key: give --key" if is_key_guessed else "is the key"
        raise ConfigError(f"--label {column.name!r}: {why}")
    return _labelled(column)


def require_column(columns: Mapping[str, Column], name: str, option: str) -> Column:
    """Return a column that the user named.

    Raises:
        ConfigError: when it is not in the sample, naming the nearest.
    """
    if name in columns:
        return columns[name]
    near = get_close_matches(name, columns, n=1)
    hint = f", did you mean {near[0]!r}?" if near else ""
    raise ConfigError(
        f"{option} {name!r}: there is no such column{hint} (there are: {_listed(columns)})"
    )


def _why_no_key(column: Column) -> str | None:
    if column.kind not in {"whole", "text"}:
        return "holds neither whole numbers nor text"
    if column.missing:
        return f"is missing in {column.missing:,} of {column.rows:,} rows"
    if not column.names_rows:
        return f"repeats: {column.distinct:,} different values in {column.rows:,} rows"
    return None


def _is_named_like_key(column: Column) -> bool:
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", column.name).lower()
    return re.search(r"(^|[^a-z])(id|key|uuid|guid|number|no|nr|code)$", words) is not None


def _labelled(column: Column) -> Label:
    where = f"the label {column.name!r}"
    if column.kind in {"moment", "other"}:
        raise ConfigError(f"{where} holds neither numbers nor classes")
    if column.missing:
        raise ConfigError(
            f"{where} is missing in {column.missing:,} of {column.rows:,} rows, the first in row "
            f"{column.first_missing:,}: leave these rows out of the delivery, a label is never "
            "missing"
        )
    if column.distinct < 2:
        raise ConfigError(f"{where} has one value in all rows: there is nothing to learn")
    if column.distinct == 2 and _are_classes(column):
        return Label(column.name, "binary", _positive(column))
    if column.kind == "text":
        if column.distinct > MAX_CLASSES:
            raise ConfigError(
                f"{where} has {column.distinct:,} different texts: neither a number nor one of at "
                f"most {MAX_CLASSES} classes" + (f"; it {column.seems}" if column.seems else "")
            )
        return Label(column.name, "multiclass", None)
    is_multiclass = column.distinct <= MAX_NUMBERED_CLASSES and _are_classes(column)
    return Label(column.name, "multiclass" if is_multiclass else "regression", None)


def _are_classes(column: Column) -> bool:
    """Return whether the values are words or whole numbers, though written `1.0`."""
    return column.kind != "number" or all(float(value).is_integer() for value in column.values)


def _positive(column: Column) -> int | str:
    """Return the class that means yes: by its word, else the last."""
    classes = class_names(column.values)
    yes = [name for name in classes if str(name).lower() in YES]
    return yes[0] if len(yes) == 1 else classes[-1]


def _listed(names: Iterable[str | Column]) -> str:
    words = [name if isinstance(name, str) else name.name for name in names]
    more = len(words) - MAX_SHOWN
    if more <= 0:
        return truncate(", ".join(words), 400)
    first = truncate(", ".join(words[: MAX_SHOWN - LAST_SHOWN]), 300)
    last = truncate(", ".join(words[-LAST_SHOWN:]), 150)
    return f"{first}, {more:,} more, and at the end {last}"
