"""A round axis: where its marks are, and what stands beside them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

STEPS = (1.0, 2.0, 5.0, 10.0)
"""What a step between two marks may begin with."""
MARKS = 5
"""About how many marks an axis has."""
ROOM = 1e-6
"""The least share of a value that an axis tells apart."""


@dataclass(frozen=True)
class Axis:
    """An axis that begins and ends at a mark."""

    step: float
    first: int
    """How many steps above zero it begins."""
    last: int

    @property
    def low(self) -> float:
        """The value at its beginning."""
        return self.first * self.step

    @property
    def high(self) -> float:
        """The value at its end."""
        return self.last * self.step

    def marks(self) -> list[tuple[float, str]]:
        """Return the value of each mark and how it is written, all with as many decimals."""
        decimals = max(0, -math.floor(math.log10(self.step)))
        values = [number * self.step for number in range(self.first, self.last + 1)]
        return [(value, f"{value:,.{decimals}f}") for value in values]


def axis(values: Sequence[float]) -> Axis:
    """Return the axis on which values lie, its marks at multiples of 1, 2 or 5 times a power of 10.

    Args:
        values: at least one; equal ones get a little room around them.
    """
    low, high = min(values), max(values)
    if high - low <= ROOM * abs(high):  # equal but for what a chart could not show
        room = abs(high) * 0.05 or 0.5
        low, high = low - room, high + room
    span = high - low
    power = 10.0 ** math.floor(math.log10(span / (MARKS - 1)))
    step = power * next(one for one in STEPS if one * power * (MARKS - 1) >= span * (1 - 1e-9))
    # A value that is a mark but for the last bit of a float does not ask for one more step.
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return Axis(step, first, max(last, first + 1))
