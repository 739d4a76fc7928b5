"""How often the calibration gate errs: equal challengers that it refuses, and worse ones it misses.

Each world draws rows with a true probability. Champion and challenger know it with noise of their
own; a worse challenger stretches the log odds, so that it is too sure of itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.special import expit

from benchmarks.measuring import Row
from include.retraining.config.gate_policy import CalibrationGate
from include.retraining.data.arrays import Numbers, Targets
from include.retraining.evaluation.calibration import compare_calibration
from include.retraining.training.predictions import Sample

DRAWS = 2_000
REFUSED = 0.05
MISSED = 0.2
NOISE = 0.3
TOO_SURE = 1.6
"""A calibration error of about 0.08."""

Random = np.random.Generator


def measure(_: Path, draws: int = DRAWS) -> list[Row]:
    """Return the errors of both kinds."""
    return [*_equal(draws), *_worse(draws)]


def refused(
    draws: int, rows: int, *, stretched: float = 1.0, offset: float = -0.5, noise: float = NOISE
) -> float:
    """Return how often a challenger is refused.

    Args:
        draws: how many holdouts.
        rows: of each.
        stretched: by what the challenger multiplies the log odds; 1 is as good as the champion.
        offset: of the log odds; the lower, the rarer is the event.
        noise: of each version's log odds; with 0 both give the true probabilities.
    """
    random = np.random.default_rng(7)
    most = CalibrationGate().max_worse
    count = 0
    for _ in range(draws):
        odds = offset + 1.5 * random.standard_normal(rows)
        labels = (random.random(rows) < expit(odds)).astype(int)
        challenger, champion = (
            _sample(labels, slope * (odds + noise * random.standard_normal(rows)))
            for slope in (stretched, 1.0)
        )
        found = compare_calibration(challenger, champion, holdout_digest="")
        assert found.excess is not None
        assert found.lower is not None
        count += found.excess > most and found.lower > 0
    return count / draws


def _sample(labels: Targets, odds: Numbers) -> Sample:
    chances = expit(odds)
    return Sample("binary", labels, (chances > 0.5).astype(int), chances)


def _equal(draws: int) -> Iterator[Row]:
    for rows in (200, 1_000, 5_000):
        for words, offset in (("two in five", -0.5), ("one in twenty", -4.0)):
            for kind, noise in (("each with its own noise", NOISE), ("almost alike", 0.01)):
                share = refused(draws, rows, offset=offset, noise=noise)
                yield _row(f"equal, {kind}, {words}, {rows:,} rows: refused", share, REFUSED)


def _worse(draws: int) -> Iterator[Row]:
    for rows in (500, 2_000, 5_000):
        share = 1 - refused(draws, rows, stretched=TOO_SURE)
        # With few rows it is shown how much is missed, and nothing is promised.
        yield _row(
            f"too sure of itself, {rows:,} rows: missed", share, MISSED if rows >= 2_000 else None
        )


def _row(what: str, share: float, allowed: float | None) -> Row:
    if allowed is None:
        return Row("calibration", what, f"{share:.1%}")
    return Row("calibration", what, f"{share:.1%}", f"at most {allowed:.0%}", share / allowed, 1.0)
