"""How much worse than a champion a challenger may be, and whether that can be shown at all."""

from __future__ import annotations

import math
from typing import NamedTuple

from include.retraining.config.model import GatePolicy
from include.retraining.formatting.numbers import number
from include.retraining.gate.report import Comparison, EvaluationReport, Opponent
from include.retraining.gate.verdict import finite

Z_95 = 1.959963984540054
Z_80 = 0.8416212335729143
ERRORS = Z_95 + Z_80
"""Standard errors by which an equal version passes in 80 %, as samples are planned for."""
MAX_LEAD_SHARE = 0.5


class Margin(NamedTuple):
    """A margin, and where it is from."""

    value: float
    is_default: bool


def margin_against(opponent: Opponent, report: EvaluationReport, policy: GatePolicy) -> Margin:
    """Return the margin that holds against an opponent.

    By default it is 2.8 standard errors of the opponent's own score on these rows. Of two versions
    that err alike on half of them, the difference has no larger an error than one score, so an
    equal version passes in about 80 %. It shrinks as the holdout grows, and is at most half of
    the opponent's lead over the naive baseline: the "fixed margin" of the FDA's guidance on
    non-inferiority trials (2016) keeps at least half of the proven effect. Neither looks at the
    challenger. It is 0 in a report from before scores had an error.
    """
    if policy.champion.margin is not None:
        return Margin(policy.champion.margin, is_default=False)
    scores = opponent.scores
    error = finite(scores.standard_error) if scores else None
    score = finite(scores.metrics.get(policy.metric)) if scores else None
    naive = finite(report.baseline.metrics.get(policy.metric))
    if error is None or score is None or naive is None:
        return Margin(0.0, is_default=True)
    return Margin(max(0.0, min(ERRORS * error, MAX_LEAD_SHARE * (score - naive))), is_default=True)


def why_never_met(between: Comparison, margin: float) -> str | None:
    """Return why not even an equal challenger would be shown to be within the margin, or None.

    That two versions which answer every row alike could not pass is reported in any case.
    That two which differ in as many rows as these could not, of a challenger that may be within the
    margin only: where one is worse, the rows are not what it lacks.

    Args:
        between: the comparison, with the interval of the level that was really used.
        margin: as `margin_against` gives it.
    """
    rows, narrowest = finite(between.rows), finite(between.narrowest)
    difference = finite(between.difference)
    half = finite(between.difference - between.lower)
    if rows is None or half is None or difference is None:
        return None
    who = "two versions that differ as these do could not pass"
    if narrowest is not None and narrowest >= margin:
        who, half = "an equal version could not pass", narrowest
    elif difference < -margin or half < margin or half <= 0:
        return None
    rarest = finite(between.rarest)
    few = "" if rarest is None else f", {rarest:,.0f} of the rarest class,"
    why = (
        f"{who}: the interval is ± {number(half, 2)} with {rows:,.0f} "
        f"rows{few} and the margin is {number(margin, 2)}"
    )
    if margin <= 0:
        return f"{why}, which asks to be better, not only not worse"
    if half > 1000 * margin:
        return f"{why}: no number of rows that anybody has would do"
    # Intervals narrow with the square root of the rows.
    return f"{why}: about {rounded_up(rows * (half / margin) ** 2):,} would do in the holdout"


def rounded_up(rows: float) -> int:
    """Return a number of rows with two digits, rounded up: more would be pretended precision."""
    step = int(10 ** max(0, math.floor(math.log10(max(rows, 1))) - 1))
    return math.ceil(rows / step - 1e-6) * step
