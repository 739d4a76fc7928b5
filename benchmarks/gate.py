"""How often the gate errs: worse challengers that pass, and good ones that do not.

Each world draws a champion and a challenger that is worse than it; the margin is the difference of
a very large sample, so that the challenger is worse by the whole margin. A ratio is the share of
errors divided by the share that is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy.special import expit, softmax

from benchmarks.measuring import Row
from include.retraining.data.arrays import Numbers, Targets
from include.retraining.evaluation.comparison import compare, paired_score_interval
from include.retraining.evaluation.metrics import compute
from include.retraining.evaluation.scoring import SLICES_TAIL
from include.retraining.gate.tries import tail_of
from include.retraining.training.predictions import Sample

DRAWS = 2_000
ROWS = 1_000
RARE = (10, 20, 50)
ALLOWED = 0.05
MISSED = 0.2

Random = np.random.Generator
Pair = tuple[Sample, Sample]
OF_CLASSES = ("accuracy", "balanced_accuracy", "matthews_corrcoef")
OF_BINARY = (*OF_CLASSES, "f1", "precision", "recall")
OF_SEVERAL = (*OF_CLASSES, "f1_macro", "f1_weighted", "precision_macro", "recall_macro")
OF_SCORES = ("average_precision", "neg_brier_score", "neg_log_loss", "roc_auc")
OF_NUMBERS = (
    "explained_variance",
    "neg_mean_absolute_error",
    "neg_mean_squared_error",
    "neg_median_absolute_error",
    "neg_root_mean_squared_error",
    "r2",
)


def measure(_: Path, draws: int = DRAWS) -> list[Row]:
    """Return the errors of both kinds."""
    return [*_worse_by_the_margin(draws), *_tries(draws // 10), *_slices(draws // 10)]


def passes(
    make: Callable[[Random, int], Pair], metric: str, draws: int, *, large_by: int = 100
) -> float:
    """Return how often a challenger that is worse by the whole margin passes.

    Args:
        make: draws rows, so many times as many as a holdout has.
        metric: a scorer's name.
        draws: how many holdouts.
        large_by: how much larger the sample is that tells the true difference.
    """
    random = np.random.default_rng(5)
    large = make(random, large_by)
    ours, theirs = (compute(metric, sample) for sample in large)
    assert ours is not None
    assert theirs is not None
    passed = 0
    for _ in range(draws):
        found = compare(metric, *make(random, 1), holdout_digest="")
        passed += found is not None and found.lower > ours - theirs
    return passed / draws


def _worse_by_the_margin(draws: int) -> Iterator[Row]:
    for rare in RARE:
        for name, metrics, make in WORLDS:
            for metric in metrics:
                found = passes(lambda g, k, n=rare, m=make: m(g, n * k, ROWS * k), metric, draws)
                yield _row(f"{name}, {rare} of {ROWS:,} rows: {metric}", found, ALLOWED)
    for name, draw in ERRORS.items():
        for metric in OF_NUMBERS:
            found = passes(
                lambda g, k, d=draw: _numbers(g, ROWS * k, d), metric, draws, large_by=3_000
            )
            yield _row(f"errors {name}, {ROWS:,} rows: {metric}", found, ALLOWED)


def _row(what: str, share: float, allowed: float) -> Row:
    return Row("gate", what, f"{share:.1%}", f"at most {allowed:.0%}", share / allowed, 1.0)


# --- worlds ---


def _binary(positives: int, rows: int) -> Targets:
    return np.repeat([1, 0], [positives, rows - positives])


def _lost_positives(random: Random, positives: int, rows: int) -> Pair:
    """Every alarm is common; of the positives the challenger finds 90 %, the champion 95 %."""
    labels, drawn, alarms = _binary(positives, rows), random.random(rows), random.random(rows)
    found = [
        np.where(labels == 1, drawn < share, alarms < 0.02).astype(int) for share in (0.90, 0.95)
    ]
    return Sample("binary", labels, found[0], None), Sample("binary", labels, found[1], None)


def _own_mistakes(random: Random, positives: int, rows: int) -> Pair:
    """Each makes mistakes of its own on both sides."""
    labels = _binary(positives, rows)
    common, own = random.random(rows), random.random(rows) < 0.3
    drawn = np.where(own, random.random(rows), common)
    ours = drawn < np.where(labels == 1, 0.80, 0.97)
    theirs = common < np.where(labels == 1, 0.90, 0.98)
    return tuple(  # type: ignore[return-value]
        Sample("binary", labels, np.where(right, labels, 1 - labels), None)
        for right in (ours, theirs)
    )


def _binary_scores(random: Random, positives: int, rows: int, ours: float, theirs: float) -> Pair:
    labels, common = _binary(positives, rows), random.normal(size=rows)
    mine = 0.8 * common + 0.6 * random.normal(size=rows)
    found = [
        expit(-3.9 + (labels - 0.5) * by**2 + by * noise)
        for by, noise in ((ours, mine), (theirs, common))
    ]
    return tuple(  # type: ignore[return-value]
        Sample("binary", labels, (chance > 0.5).astype(int), chance) for chance in found
    )


def _several(random: Random, rare: int, rows: int) -> Pair:
    """Three classes, the last one rare; each makes mistakes of its own."""
    labels = np.concatenate((np.full(rare, 2), np.arange(rows - rare) % 2))
    common, own = random.random(rows), random.random(rows) < 0.4
    drawn = np.where(own, random.random(rows), common)
    wrong = (labels + random.integers(1, 3, rows)) % 3
    ours = drawn < np.array([0.87, 0.87, 0.6])[labels]
    theirs = common < np.array([0.9, 0.9, 0.75])[labels]
    return tuple(  # type: ignore[return-value]
        Sample("multiclass", labels, np.where(right, labels, wrong), None)
        for right in (ours, theirs)
    )


def _several_scores(random: Random, rare: int, rows: int) -> Pair:
    labels = np.concatenate((np.full(rare, 2), np.arange(rows - rare) % 2))
    common = random.normal(size=(rows, 3))
    mine = 0.8 * common + 0.6 * random.normal(size=(rows, 3))
    each = np.eye(3)[labels]
    found = [softmax(by**2 * each + by * z, axis=1) for by, z in ((1.2, mine), (1.5, common))]
    return tuple(  # type: ignore[return-value]
        Sample("multiclass", labels, chance.argmax(axis=1), chance) for chance in found
    )


WORLDS: tuple[tuple[str, tuple[str, ...], Callable[[Random, int, int], Pair]], ...] = (
    ("lost positives", OF_BINARY, _lost_positives),
    ("own mistakes", OF_BINARY, _own_mistakes),
    ("scores", OF_SCORES, lambda g, k, n: _binary_scores(g, k, n, 1.6, 1.9)),
    ("strong scores", OF_SCORES, lambda g, k, n: _binary_scores(g, k, n, 2.6, 3.2)),
    ("three classes", OF_SEVERAL, _several),
    ("three classes", ("neg_log_loss", "roc_auc_ovr"), _several_scores),
)

ERRORS: dict[str, Callable[[Random, int], Numbers]] = {
    "normal": lambda g, n: g.normal(size=n),
    "of Student's t with 3 degrees": lambda g, n: g.standard_t(3, n),
    "lognormal": lambda g, n: np.exp(g.normal(size=n)) * g.choice([-1, 1], n),
}


def _numbers(random: Random, rows: int, draw: Callable[[Random, int], Numbers]) -> Pair:
    labels, common = random.normal(0, 10, rows), draw(random, rows)
    mine = 2.2 * (0.9 * common + np.sqrt(1 - 0.81) * draw(random, rows))
    return (
        Sample("regression", labels, labels + mine, None),
        Sample("regression", labels, labels + 2 * common, None),
    )


# --- many tries on the same rows ---


def promoted_within(
    tries: int, families: int, *, truth: float, rows: int = 600, first: int = 1, seed: int = 1
) -> float:
    """Return the share of families of which one is promoted.

    The champion is right on 90 % of the rows. Each challenger decides a fifth of them by itself
    and is right on ``truth`` of all in the long run; the margin is 0.02 of accuracy.
    """
    random, margin, promoted = np.random.default_rng(seed), 0.02, 0
    for _ in range(families):
        champion = random.random(rows) < 0.90
        for number in range(first, first + tries):
            own = random.random(rows) < 0.2
            ours = np.where(own, random.random(rows) < (truth - 0.8 * 0.9) / 0.2, champion)
            better, worse = int((ours & ~champion).sum()), int((champion & ~ours).sum())
            if better - worse <= -margin * rows:
                continue
            if paired_score_interval(better, worse, rows, tail=tail_of(number))[0] > -margin:
                promoted += 1
                break
    return promoted / families


def _tries(families: int) -> Iterator[Row]:
    worse = promoted_within(52, families, truth=0.88)
    yield _row("worse by the margin: one of 52 tries is promoted", worse, ALLOWED)
    better = 1 - promoted_within(1, families, truth=0.9 + 2 * 0.02, first=20)
    yield _row("better by twice the margin: refused at the 20th try", better, MISSED)
    equal = 1 - promoted_within(1, families, truth=0.90)
    yield Row("gate", "equal, 600 rows, margin 0.02: refused at the first try", f"{equal:.1%}")


# --- slices ---


def slices_refused(
    runs: int, *, slices: int, rows: int, worse_by: float = 0.0, max_drop: float = 0.05
) -> float:
    """Return how often a slice refuses a challenger, of which one slice may truly be worse.

    Both are right on 85 % of the rows and decide 10 % of them differently.
    """
    random, refused = np.random.default_rng(2), 0
    for _ in range(runs):
        drawn = random.random((slices, rows))
        theirs = (drawn < 0.80) | (drawn >= 0.95)
        ours = drawn < 0.85
        ours[0] &= random.random(rows) >= worse_by / 0.85
        for mine, other in zip(ours, theirs, strict=True):
            better, worse = int((mine & ~other).sum()), int((other & ~mine).sum())
            if better - worse >= -max_drop * rows:
                continue
            upper = paired_score_interval(better, worse, rows, tail=SLICES_TAIL / slices)[1]
            if upper < 0:
                refused += 1
                break
    return refused / runs


def _slices(runs: int) -> Iterator[Row]:
    equal = slices_refused(runs, slices=20, rows=50)
    yield _row("equal, 20 slices of 50 rows: refused", equal, ALLOWED)
    for slices in (5, 20):
        missed = 1 - slices_refused(runs, slices=slices, rows=200, worse_by=0.1)
        what = f"a slice worse by twice max_drop, {slices} of 200 rows: not refused"
        yield Row("gate", what, f"{missed:.1%}")
    missed = 1 - slices_refused(runs, slices=20, rows=400, worse_by=0.1)
    yield _row("the same, 20 of 400 rows: not refused", missed, MISSED)
