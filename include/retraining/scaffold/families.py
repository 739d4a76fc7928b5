"""Numbered columns, `gene_0001` to `gene_5000`: one line of a contract and of a feature list."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from include.retraining.scaffold.columns import Column

MIN_MEMBERS = 8
"""Fewer are named one by one."""
MAX_LEFT_OUT = 10
"""With more gaps in their numbers, their names are listed."""
_NUMBERED = re.compile(r"(?P<prefix>[A-Za-z][A-Za-z0-9_.-]*?)(?P<number>[0-9]+)")


@dataclass(frozen=True)
class Family:
    """Columns of numbers whose names differ by their number only."""

    prefix: str
    members: tuple[Column, ...]
    """Those that are features."""
    alike: tuple[Column, ...]
    """These and the others whose names match."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in the order of the file."""
        return tuple(column.name for column in self.members)

    @property
    def pattern(self) -> str:
        """What matches their names, and no other name."""
        return f"{re.escape(self.prefix)}[0-9]+$"

    @property
    def generator(self) -> tuple[str, ...] | None:
        """The expression that makes their names, in parts; None where it would be none to read."""
        digits = [name[len(self.prefix) :] for name in self.names]
        numbers = [int(text) for text in digits]
        first, end = numbers[0], numbers[-1] + 1
        if numbers != sorted(set(numbers)) or end - first - len(numbers) > MAX_LEFT_OUT:
            return None
        forms = ("", f"0{len(digits[0])}d")
        form = next((one for one in forms if digits == [f"{n:{one}}" for n in numbers]), None)
        if form is None:
            return None
        name = f'f"{self.prefix}{{number{":" if form else ""}{form}}}"'
        each = f"for number in range({f'{first}, ' if first else ''}{end})"
        left_out = sorted(set(range(first, end)) - set(numbers))
        but = f"if number not in {{{', '.join(map(str, left_out))}}}" if left_out else ""
        return tuple(filter(None, (name, each, but)))


def families(columns: Mapping[str, Column], features: Sequence[str]) -> tuple[Family, ...]:
    """Return the families among the features.

    Args:
        columns: all of the sample's.
        features: the columns of numbers that the model will read.
    """
    members: dict[str, list[Column]] = {}
    for column in columns.values():
        match = _NUMBERED.fullmatch(column.name)
        if match:
            members.setdefault(match["prefix"], []).append(column)
    chosen = set(features)
    return tuple(
        Family(prefix, tuple(one for one in found if one.name in chosen), tuple(found))
        for prefix, found in members.items()
        # Who is no feature is held to the pattern all the same, so it must be a number too.
        if sum(one.name in chosen for one in found) >= MIN_MEMBERS
        and all(one.is_numeric for one in found)
    )
