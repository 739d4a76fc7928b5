"""How much of the chance of a false yes each try on the same rows may spend.

Each challenger that is scored on the same holdout, against the same champion, is one more chance
that a worse one passes by luck. So the n-th try is held to an interval whose lower end is wrong in
`TOTAL` / (n (n + 1)) of cases. These chances add up to less than `TOTAL` however many tries there
are (1 / (n (n + 1)) = 1 / n - 1 / (n + 1)), and the first one is the usual 95 % interval. It is
the spending of a level over hypotheses that come one after the other (D. Foster and R. Stine,
"Alpha-investing", Journal of the Royal Statistical Society B 70, 2008), without earning any back.

Light on purpose: the gate imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.retraining.gate.report import Try

TOTAL = 0.05
"""The chance that any of all the tries passes a challenger that is worse by the whole margin."""


MAX_TRIES = 1_000_000
"""More than honest tries ever reach."""


def tail_of(number: int) -> float:
    """Return what may lie outside one end of the interval of a try.

    Args:
        number: which try it is, from 1.
    """
    return TOTAL / (number * (number + 1))


def level_of(number: int) -> float:
    """Return the level of the interval of a try: 0.95 for the first."""
    return 1 - 2 * tail_of(number)


def level_words(level: float) -> str:
    """Return a level as it is shown: `95 %`, `99.98 %`, with enough digits to differ from 1."""
    texts = (f"{100 * level:.{digits}g}" for digits in (4, 6, 8))
    return next((text for text in texts if float(text) < 100), "almost 100") + " %"


def ordinal(number: int) -> str:
    """Return a number as `1st`, `2nd`, `3rd` or `4th`."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{'th' if number % 100 in {11, 12, 13} else ending}"


def try_words(tried: Try | None) -> str:
    """Return which try it is, from the second on, as the end of a sentence."""
    if tried is None or tried.number < 2:
        return ""
    since = f"since generation {tried.generation}" if tried.generation else "so far"
    return f"; {ordinal(tried.number)} challenger on these rows {since}"
