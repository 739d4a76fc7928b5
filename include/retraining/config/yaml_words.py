"""Words that YAML takes for something else: NO is false, 010 is 8, null is nothing."""

from __future__ import annotations

from datetime import date
from typing import Any

QUOTES = "put the word in quotes"


def misread(value: Any) -> str | None:
    """Return how YAML read a word, and what to do; None for a list or a mapping.

    Args:
        value: what was read where text is wanted.
    """
    if isinstance(value, bool):
        words, quoted = ("yes, on and true", "yes") if value else ("no, off and false", "no")
        return f'YAML reads {words} as a truth value: {QUOTES}, for example "{quoted}"'
    if value is None:
        return f'YAML reads null, ~ and nothing at all as no value: {QUOTES}, for example "null"'
    if isinstance(value, int | float):
        return f"YAML reads what stands here as the number {value}: put it in quotes"
    if isinstance(value, date):
        return "YAML reads what stands here as a date: put it in quotes"
    return None
