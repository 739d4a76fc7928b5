"""Guessing which columns are protected attributes: by their names, where they have few groups.

A name is a weak sign in both directions. What is found is audited and not learned from; what is not
found, only someone who knows the data can name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from include.retraining.scaffold.columns import MAX_LISTED, Column

WORDS: Mapping[str, frozenset[str]] = {
    "sex": frozenset({"sex", "gender", "male", "female", "transgender", "pregnant", "pregnancy"}),
    "race": frozenset({
        *("race", "ethnicity", "ethnic", "skin", "white", "black", "hispan", "hispanic"),
        *("latino", "latina", "asian", "caucasian", "indigenous"),
    }),
    "religion": frozenset({"religion", "religious", "faith", "christian", "muslim", "jewish"}),
    "disability": frozenset({"disability", "disabled", "handicap", "handicapped"}),
    "nationality": frozenset({"nationality", "citizenship", "immigrant", "birthplace"}),
    "marital_status": frozenset({"marital", "married"}),
    "orientation": frozenset({"orientation"}),
}
AGE = frozenset({"age", "birthdate", "birthday", "birthyear", "dob"})


@dataclass(frozen=True)
class Attribute:
    """A protected attribute as the YAML names it."""

    name: str
    columns: tuple[str, ...]
    is_one_hot: bool


def guess_protected(columns: Iterable[Column]) -> tuple[Attribute, ...]:
    """Return the attributes that columns with few values seem to be."""
    found: dict[str, list[Column]] = {}
    for column in columns:
        attribute = attribute_of(column.name)
        if attribute is not None and 2 <= column.distinct <= MAX_LISTED:
            found.setdefault(attribute, []).append(column)
    return tuple(one for name, members in found.items() for one in _attributes(name, members))


def attribute_of(name: str) -> str | None:
    """Return the protected attribute that a column is named like, or None."""
    words = _words(name)
    return next((attribute for attribute, known in WORDS.items() if words & known), None)


def is_named_like_age(name: str) -> bool:
    """Return whether a column is named like an age, which many laws protect."""
    return bool(_words(name) & AGE)


def _words(name: str) -> frozenset[str]:
    split = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    return frozenset(re.findall(r"[a-z]+", split))


def _attributes(name: str, members: list[Column]) -> list[Attribute]:
    names = tuple(column.name for column in members)
    if len(members) == 1:
        return [Attribute(name, names, is_one_hot=False)]
    if all(column.is_flag for column in members):
        return [Attribute(name, names, is_one_hot=True)]
    return [
        Attribute(f"{name}_{number}", (one,), is_one_hot=False)
        for number, one in enumerate(names, start=1)
    ]
