"""Numbers and metric names, formatted for readers."""

from __future__ import annotations


def metric_name(metric: str) -> str:
    """Return a scorer's name in words: `neg_mean_absolute_error` is `mean absolute error`."""
    return metric.removeprefix("neg_").replace("_", " ")


def is_error(metric: str) -> bool:
    """Return whether the metric is shown as an error, of which less is better."""
    return metric.startswith("neg_")


def metric_value(metric: str, value: float) -> float:
    """Return a metric's value as it is shown: an error is positive."""
    return 0.0 - value if is_error(metric) else value  # the error of no error is 0, and not -0


def number(value: float, digits: int = 4) -> str:
    """Return a number with so many significant digits, without an exponent where that is readable.

    `0.8` is written `0.80`, `1234567` is `1,234,567`.
    """
    if 10**digits <= abs(value) < 1e15:
        return f"{value:,.0f}"
    text = f"{value:.{digits}g}"
    whole, point, decimals = text.partition(".")
    return f"{whole}.{decimals}0" if point and len(decimals) == 1 and abs(value) < 1 else text


def distinguishable(value: float, limit: float) -> tuple[str, str]:
    """Return two numbers with as many digits as it takes to see which is greater.

    Four digits are enough unless 0.79996 must be distinguished from 0.8.
    """
    for digits in (4, 7, 10):
        texts = number(value, digits), number(limit, digits)
        if value == limit or texts[0] != texts[1]:
            return texts
    return repr(value), repr(limit)


def better_direction(metric: str) -> str:
    """Return on which side of a limit a metric is better: `above` or `below`."""
    return "below" if is_error(metric) else "above"


def better_words(metric: str) -> str:
    """Return which way a metric is better, as it is shown."""
    return "lower is better" if is_error(metric) else "higher is better"


def bound_words(metric: str) -> str:
    """Return what a limit of a metric is, as it is shown: an error has an upper one."""
    return "at most" if is_error(metric) else "at least"


def at_least_words(metric: str, what: str, value: float, limit: float, must: str) -> str:
    """Describe a metric's value and its limit; error metrics have an upper bound.

    Args:
        metric: the scorer's name.
        what: what the sentence calls it.
        value: the score, greater is better.
        limit: the least score.
        must: `must be ` when it does not hold, else nothing.
    """
    shown, bound = distinguishable(metric_value(metric, value), metric_value(metric, limit))
    return f"{what} is {shown}, {must}{bound_words(metric)} {bound}"


def signed(value: float) -> str:
    """Return a difference with its sign."""
    return f"{'-' if value < 0 else '+'}{number(abs(value))}"
