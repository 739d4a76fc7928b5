"""How often a recipe passes that is lucky in the newest window only, by simulation.

Each world has periods of as many rows, a champion, and a challenger that is worse by the whole
margin in each period but the newest. There it is truly better, or it is the best of many tries,
each as bad as the others. The share that passes the holdout alone stands beside the share that
passes the windows as well (docs/windows.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np

from benchmarks.margins import answers, labels_of, naive, report_of
from benchmarks.measuring import Row
from include.retraining.config.model import GatePolicy
from include.retraining.data.split_record import SplitUsed
from include.retraining.evaluation.comparison import compare
from include.retraining.evaluation.metrics import compute
from include.retraining.gate.identity import Rule
from include.retraining.gate.report import EvaluationReport, WindowScores
from include.retraining.gate.rules import Answer, judge
from include.retraining.training.predictions import Sample

SEEDS = 400
ROWS = 1_000
"""Of each period."""
SIGNAL = 2.0
LESS = 0.2
"""How much less of the signal the challenger has, by which the margin is made."""
TRIES = 60
METRIC = "roc_auc"
NEWEST = datetime(2026, 11, 24, tzinfo=UTC)
ALLOWED = 0.05
MISSED = 0.2
RULES = (Rule.OPPONENT, Rule.BASELINE_WINDOWS, Rule.POOLED_WINDOWS, Rule.WORST_WINDOW)

Samples = tuple[Sample, Sample, Sample]
"""Of challenger, champion and naive baseline, for the same rows."""


def measure(_: Path, seeds: int = SEEDS) -> list[Row]:
    """Return who passes the holdout alone, and who passes the windows as well."""
    return list(_rows(seeds))


def _rows(seeds: int) -> Iterator[Row]:
    lucky = (("better in the newest window only", LESS, 1), (f"the best of {TRIES}", -LESS, TRIES))
    for words, newest, tries in lucky:
        alone, four = passes(seeds, newest=newest, earlier=-LESS, tries=tries)
        what = f"passes, worse by the margin before: {words}"
        yield Row("windows", what, f"{four:.1%}", f"{alone:.1%}", four / ALLOWED, 1.0)
        yield Row("windows", f"{what}: by the holdout alone", f"{alone:.1%}")
    for words, gain in (("equal", 0.0), ("better by half the margin", LESS / 2)):
        alone, four = passes(seeds, newest=gain, earlier=gain)
        what = f"refused by the windows and not by the holdout alone: {words}"
        yield Row("windows", what, f"{alone - four:.1%}", "", (alone - four) / MISSED, 1.0)


def passes(
    seeds: int, *, newest: float, earlier: float, tries: int = 1, windows: int = 4
) -> tuple[float, float]:
    """Return the share that passes the holdout alone, and the share that passes all windows.

    Args:
        seeds: how many worlds.
        newest: how much more of the signal the challenger has in the newest period.
        earlier: the same in the others.
        tries: how many challengers there were, of which the best in the newest period is taken.
        windows: how many periods.
    """
    alone = four = 0
    for seed in range(seeds):
        random = np.random.default_rng([7, seed])
        periods = [_period(random, newest, tries)]
        periods += [_period(random, earlier) for _ in range(windows - 1)]
        verdict = judge(_report(periods), _policy(), report_digest="digest")
        found = {gate.rule: gate.answer is Answer.PASS for gate in verdict.gates}
        alone += found[Rule.OPPONENT]
        four += all(found.get(rule, False) for rule in RULES)
    return alone / seeds, four / seeds


def _period(random: np.random.Generator, gain: float, tries: int = 1, rows: int = ROWS) -> Samples:
    """Draw a period's rows, a champion, and the best of some challengers."""
    labels, noise = labels_of("binary", rows, random), random.normal(size=(rows, 3))
    champion = answers("binary", labels, SIGNAL, noise, random)
    challengers = [answers("binary", labels, SIGNAL + gain, noise, random) for _ in range(tries)]
    best = max(challengers, key=lambda sample: compute(METRIC, sample) or 0.0)
    return best, champion, naive(champion, labels, METRIC)


@lru_cache(maxsize=1)
def _policy() -> GatePolicy:
    """Return rules whose margin is what the challenger's signal truly costs."""
    challenger, champion, _ = _period(np.random.default_rng(5), -LESS, rows=100 * ROWS)
    worse, better = compute(METRIC, challenger), compute(METRIC, champion)
    assert worse is not None
    assert better is not None
    return GatePolicy.model_validate({"metric": METRIC, "champion": {"margin": better - worse}})


def _report(periods: list[Samples]) -> EvaluationReport:
    """Return the evaluation of a holdout and the periods before it, the newest first."""
    challenger, champion, baseline = periods[0]
    report = report_of(METRIC, challenger, baseline, champion)
    assert report.champion is not None
    split = SplitUsed(
        by="time", column="day", holdout_days=7, windows=len(periods), train_until=NEWEST
    )
    return report.model_copy(
        update={
            "split": split,
            "champion": report.champion.model_copy(update={"split": split}),
            "windows": tuple(
                _window(number, period) for number, period in enumerate(periods[1:], start=1)
            ),
        }
    )


def _window(number: int, period: Samples) -> WindowScores:
    challenger, champion, baseline = period
    digest, until = f"rows {number}", NEWEST - number * timedelta(days=7)
    return WindowScores(
        after=until - timedelta(days=7),
        until=until,
        rows=challenger.rows,
        digest=digest,
        challenger=compute(METRIC, challenger),
        against={
            "baseline": compare(METRIC, challenger, baseline, holdout_digest=digest),
            "champion": compare(METRIC, challenger, champion, holdout_digest=digest),
        },
    )
