"""How often the drift of inputs is raised when nothing drifted, and how soon when something did.

Made-up inputs are compared with the profile of made-up training rows, by the code that compares
deliveries: healthy ones of a thousand and of a million rows, weeks with other weekends, a shift,
and a drift that creeps. Beside it stands what a test of significance says of the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from benchmarks.measuring import Row
from include.retraining.monitoring.column_profile import ColumnProfile, profile_column
from include.retraining.monitoring.comparison import Comparison
from include.retraining.monitoring.drift import Drift
from include.retraining.monitoring.drift_limits import MAX_READ, LearnedLimits
from include.retraining.monitoring.drift_state import WINDOWS, DriftStatus, drift_state

HEALTHY = 1000
GRADES = ("A", "B", "C", "D")
SHARES = (0.4, 0.3, 0.2, 0.1)
TRAINING_ROWS = 100_000


def measure(_: Path) -> list[Row]:
    """Answer each question with a row."""
    return [
        *(healthy(rows, HEALTHY) for rows in (1_000, 1_000_000)),
        trivial_shift(1_000_000),
        *weekly_season(days=728),
        *(shift(rows, 0.6) for rows in (1_000, 1_000_000)),
        creeping(),
    ]


def made_up(rows: int, random: np.random.Generator, *, moved: float = 0.0) -> pd.DataFrame:
    """Return rows of a number and a category; the number moves by standard deviations."""
    grades = random.choice(len(GRADES), rows, p=SHARES)
    return pd.DataFrame({
        "income": random.normal(moved, 1.0, rows),
        "grade": pd.Categorical.from_codes(grades, categories=list(GRADES)),
    })


def profiles(frame: pd.DataFrame) -> dict[str, ColumnProfile]:
    """Return the profiles of training rows."""
    made = {name: profile_column(frame[name]) for name in frame.columns}
    return {str(name): profile for name, profile in made.items() if profile is not None}


def compare(
    frame: pd.DataFrame,
    training: dict[str, ColumnProfile],
    earlier: Sequence[Drift],
    *,
    generation: int = 1,
) -> Drift:
    """Compare an input as the jobs do, and return the document."""
    limits = LearnedLimits(earlier[-MAX_READ:], generation=generation)
    comparison = Comparison(training, limits)
    for name in frame.columns:
        comparison.add(frame[name])
    drift = Drift(
        model="made_up",
        source="scoring",
        window=f"{len(earlier):08d}",
        judged_at=datetime(2026, 1, 1, tzinfo=UTC),
        version="version",
        generation=generation,
        rows=0,
    )
    return comparison.finish(drift, len(frame))


def raised(drifts: Sequence[Drift], generation: int = 1) -> list[int]:
    """Return after which inputs the alarm is raised, or goes on."""
    return [
        number
        for number in range(1, len(drifts) + 1)
        if drift_state(drifts[max(0, number - 2 * WINDOWS) : number], generation).status
        is DriftStatus.DRIFTED
    ]


def follow(
    inputs: int, make: Callable[[int], pd.DataFrame], training: dict[str, ColumnProfile]
) -> list[Drift]:
    """Compare so many inputs, one after another, with the same training rows."""
    drifts: list[Drift] = []
    for number in range(inputs):
        drifts.append(compare(make(number), training, drifts))
    return drifts


def healthy(rows: int, inputs: int, seed: int = 0) -> Row:
    """Count false alarms in inputs that are as the training rows."""
    random = np.random.default_rng(seed)
    training = profiles(made_up(TRAINING_ROWS, random))
    drifts = follow(inputs, lambda _: made_up(rows, random), training)
    alarms, beyond = len(raised(drifts)), sum(bool(drift.exceeding) for drift in drifts)
    return Row(
        "drift",
        f"false alarms in {inputs:,} healthy inputs of {rows:,} rows",
        f"{alarms} ({beyond} inputs beyond a limit)",
        ratio=alarms / inputs,
        limit=0.001,
    )


def trivial_shift(rows: int, inputs: int = 20) -> Row:
    """Compare inputs that moved by a hundredth of a standard deviation, which is nothing."""
    random = np.random.default_rng(1)
    before = made_up(TRAINING_ROWS, random)
    training = profiles(before)
    alarms = significant = 0
    for _ in range(inputs):
        frame = made_up(rows, random, moved=0.01)
        alarms += bool(compare(frame, training, []).exceeding)
        significant += ks_2samp(before["income"], frame["income"]).pvalue < 0.05
    return Row(
        "drift",
        f"{inputs} inputs of {rows:,} rows that moved by 0.01 standard deviations: beyond a limit",
        f"{alarms}",
        f"{significant} by p < 0.05 (Kolmogorov and Smirnov)",
        ratio=alarms / inputs,
        limit=0.0,
    )


def weekly_season(days: int, seed: int = 2, rows: int = 1_000) -> list[Row]:
    """Compare days of which the weekends are other days, with training rows of all days."""
    random = np.random.default_rng(seed)

    def of_day(day: int) -> pd.DataFrame:
        return made_up(rows, random, moved=1.0 if day % 7 in {5, 6} else 0.0)

    training = profiles(pd.concat([of_day(day) for day in range(70)], ignore_index=True))
    first = follow(days // 2, of_day, training)
    second = list(first)
    for day in range(days // 2, days):
        second.append(compare(of_day(day), training, second, generation=2))
    later = second[days // 2 :]
    alarms = len(raised(first)) + len(raised(later, generation=2))
    beyond = [sum(bool(drift.exceeding) for drift in part) for part in (first, later)]
    return [
        Row(
            "drift",
            f"false alarms in {days:,} days with other weekends",
            f"{alarms}",
            ratio=alarms / days,
            limit=0.0,
        ),
        Row(
            "drift",
            "days beyond a limit: the first version, and the next with learned limits",
            f"{beyond[0]} and {beyond[1]}",
        ),
    ]


def shift(rows: int, moved: float, repeats: int = 20) -> Row:
    """Count the inputs from a shift up to the alarm."""
    random = np.random.default_rng(3)
    training = profiles(made_up(TRAINING_ROWS, random))
    worst = 0
    for _ in range(repeats):
        drifts = follow(10, lambda _: made_up(rows, random, moved=moved), training)
        worst = max(worst, min(raised(drifts), default=11))
    return Row(
        "drift",
        f"inputs of {rows:,} rows up to the alarm, moved by {moved:g} standard deviations",
        f"at most {worst}",
        ratio=worst / 3,
        limit=1.0,
    )


def creeping(step: float = 0.01, inputs: int = 200) -> Row:
    """Count the inputs, and the way gone, up to the alarm of a drift that creeps."""
    random = np.random.default_rng(4)
    training = profiles(made_up(TRAINING_ROWS, random))
    drifts = follow(inputs, lambda day: made_up(10_000, random, moved=step * day), training)
    first = min(raised(drifts), default=inputs + 1)
    return Row(
        "drift",
        f"a drift of {step:g} standard deviations with each input: way gone when it is raised",
        f"{step * first:.2f} standard deviations",
        ratio=step * first,
        limit=0.7,
    )
