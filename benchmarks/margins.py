"""How often the gate's rules about leads and margins err, by simulation (docs/margins.md).

Four questions, each answered by the rules themselves on made-up samples: how often a model that
learned shuffled labels beats the naive baseline, how often a champion is told that the data changed
although it did not (and the other way round), how often an equal and a worse version pass under the
default margin, and how far many promotions under it drift.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.measuring import Row
from include.retraining.config.model import GatePolicy
from include.retraining.data.arrays import Labels, Numbers
from include.retraining.data.labels import Class
from include.retraining.data.split_record import SplitUsed
from include.retraining.evaluation.comparison import compare
from include.retraining.evaluation.metrics import METRICS, compute
from include.retraining.evaluation.naive_baseline import naive_baseline
from include.retraining.evaluation.standard_error import standard_error
from include.retraining.gate.identity import Rule
from include.retraining.gate.report import EvaluationReport, Holdout, JudgedScore, Opponent, Scores
from include.retraining.gate.rules import Answer, judge
from include.retraining.runs.manifest import Serving
from include.retraining.training.predictions import Sample, as_sample

SEEDS = 200
SPLIT = SplitUsed(by="key", holdout_fraction=0.3, salt="made up")
CLASSES: dict[str, tuple[Class, ...] | None] = {"binary": (0, 1), "multiclass": (0, 1, 2)}
DATA_GATE = Rule.CHAMPION_SCORE


def measure(_: Path) -> list[Row]:
    """Answer the four questions, a row per metric or setting."""
    return [*shuffled_labels(), *changed_data(), *default_margins(), *drift()]


# --- samples ---


def labels_of(problem: str, rows: int, random: np.random.Generator, rare: float = 0.2) -> Labels:
    """Return labels: a fifth is positive, classes of 60, 30 and 10 %, or skewed numbers."""
    if problem == "regression":
        return random.lognormal(1.0, 0.75, rows)
    shares = [1 - rare, rare] if problem == "binary" else [0.6, 0.3, 0.1]
    return random.choice(len(shares), rows, p=shares)


def answers(
    problem: str, labels: Labels, signal: float, noise: Numbers, random: np.random.Generator
) -> Sample:
    """Return a calibrated model's answers: the label's trace, as strong as the signal, in noise.

    Args:
        problem: the kind of label.
        labels: of the rows.
        signal: 0 for a model that knows nothing.
        noise: by row and class, standard normal; versions that share it err alike.
        random: for the share of noise that each version has of its own.
    """
    own = np.sqrt(0.9) * noise + np.sqrt(0.1) * random.normal(size=noise.shape)
    if problem == "regression":
        centre = labels.mean()
        trace = signal**2 / (1 + signal**2)
        spread = labels.std() * np.sqrt(trace * (1 - trace))
        values = centre + trace * (labels - centre) + spread * own[:, 0]
        return Sample(problem, labels, values, None)
    classes = 2 if problem == "binary" else 3
    prior = np.bincount(labels, minlength=classes) / len(labels)
    scores = signal * (own[:, :classes] + signal * np.eye(classes)[labels]) + np.log(prior + 1e-9)
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    values = chances.argmax(axis=1)
    return Sample(problem, labels, values, chances[:, 1] if problem == "binary" else chances)


def naive(sample: Sample, training: Labels, metric: str) -> Sample:
    """Return the naive baseline's answers for a sample's rows."""
    found = naive_baseline(
        training, sample.rows, problem=sample.problem, metric=metric, positive=1
    ).predictions
    assert found is not None
    return as_sample(
        sample.labels,
        found,
        problem=sample.problem,
        positive=1,
        classes=CLASSES.get(sample.problem),
    )


# --- reports ---


def report_of(
    metric: str,
    challenger: Sample,
    baseline: Sample,
    champion: Sample | None = None,
    then: JudgedScore | None = None,
) -> EvaluationReport:
    """Return the evaluation of some samples of the same rows."""
    opponent = None
    if champion is not None:
        opponent = Opponent(
            serving=Serving(version="champion", generation=1),
            split=SPLIT,
            scores=scores_of("champion", metric, champion),
            comparison=compare(metric, challenger, champion, holdout_digest="rows"),
            judged=then,
        )
    return EvaluationReport(
        model="made_up",
        run_id="run",
        fingerprint="f" * 64,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        problem=challenger.problem,
        metric=metric,
        split=SPLIT,
        holdout=Holdout(rows=challenger.rows, digest="rows", rows_in_training=0),
        challenger=scores_of("challenger", metric, challenger),
        baseline=scores_of("baseline", metric, baseline).model_copy(update={"answers": "naive"}),
        champion=opponent,
        best=None,
        slices=(),
        fairness=(),
        against_baseline=compare(metric, challenger, baseline, holdout_digest="rows"),
    )


def scores_of(version: str, metric: str, sample: Sample) -> Scores:
    """Return a sample's score with its error."""
    return Scores(
        version=version,
        holdout_digest="rows",
        metrics={metric: compute(metric, sample)},
        standard_error=standard_error(metric, sample),
    )


def answers_of(report: EvaluationReport, margin: float | None = None) -> dict[Rule, Answer]:
    """Return each rule's answer."""
    policy = GatePolicy.model_validate({
        "metric": report.metric,
        "min_holdout_rows": 1,
        "champion": {"margin": margin},
    })
    verdict = judge(report, policy, report_digest="d")
    return {gate.rule: gate.answer for gate in verdict.gates}


def each_metric() -> Iterator[tuple[str, str]]:
    """Yield every problem with every metric that may decide."""
    for problem, metrics in METRICS.items():
        for metric in sorted(metrics):
            if not metric.startswith(("recall", "precision")):
                yield problem, metric


# --- the questions ---


def passes_when_shuffled(problem: str, metric: str, seed: int, rows: int = 300) -> bool:
    """Return whether a model that learned shuffled labels beats the naive baseline."""
    random = np.random.default_rng(seed)
    training, labels = (labels_of(problem, n, random) for n in (2 * rows, rows))
    # It answers as it learned to: as a model of some other labels of the same kind.
    learned = labels_of(problem, rows, random)
    model = answers(problem, learned, 1.0, random.normal(size=(rows, 3)), random)
    sample = Sample(problem, labels, model.values, model.probabilities)
    report = report_of(metric, sample, naive(sample, training, metric))
    return answers_of(report)[Rule.BASELINE] is Answer.PASS


def shuffled_labels(seeds: int = SEEDS) -> Iterator[Row]:
    """Say how often a model of shuffled labels beats the naive baseline, which at most 5 % may."""
    for problem, metric in each_metric():
        share = np.mean([passes_when_shuffled(problem, metric, seed) for seed in range(seeds)])
        yield _row(f"{problem}, {metric}: passes with shuffled labels", share, most=0.05)


def is_told_as_changed(
    problem: str, metric: str, seed: int, *, change: str | None, rows: int = 300
) -> bool:
    """Return whether a champion, judged on other rows, is told that the data changed."""
    random = np.random.default_rng(seed)
    old, new = labels_of(problem, rows, random), labels_of(problem, rows, random)
    if change == "mix":  # twice as many of the rare class; numbers half as large again
        new = new * 1.5 if problem == "regression" else np.where(random.random(rows) < 0.2, 1, new)
    signal = 0.85 * 2 if change == "harder" else 2
    before = answers(problem, old, 2, random.normal(size=(rows, 3)), random)
    now = answers(problem, new, signal, random.normal(size=(rows, 3)), random)
    if change == "shuffled":
        now = Sample(problem, random.permutation(new), now.values, now.probabilities)
    scores = scores_of("champion", metric, before)
    value, error = scores.metrics[metric], scores.standard_error
    naive_value = compute(metric, naive(before, old, metric))
    assert value is not None
    assert error is not None
    assert naive_value is not None
    then = JudgedScore(
        metric=metric, value=value, standard_error=error, baseline=naive_value, rows=rows
    )
    report = report_of(metric, now, naive(now, now.labels, metric), now, then)
    return answers_of(report)[DATA_GATE] == "cannot_judge"


def changed_data(seeds: int = SEEDS) -> Iterator[Row]:
    """Say how often a champion is told that the data changed: by chance, by drift, when it did."""
    cases = (
        (None, "of other rows of the same world", 0.01, None),
        ("mix", "of another mix of classes, or numbers half as large again", 0.05, None),
        ("harder", "of rows with 15 % less signal", 0.05, None),
        ("shuffled", "with shuffled labels", None, 0.95),
    )
    for change, words, most, least in cases:
        found = [
            is_told_as_changed(problem, metric, seed, change=change)
            for problem, metric in each_metric()
            for seed in range(seeds)
        ]
        yield _row(f"told that the data changed, {words}", np.mean(found), most, least)


def passes_by_default(
    problem: str, metric: str, seed: int, *, worse_by: float, rows: int, rare: float = 0.2
) -> bool:
    """Return whether a version with less signal passes."""
    random = np.random.default_rng(seed)
    labels, noise = labels_of(problem, rows, random, rare), random.normal(size=(rows, 3))
    champion = answers(problem, labels, 2, noise, random)
    challenger = answers(problem, labels, 2 - worse_by, noise, random)
    report = report_of(metric, challenger, naive(champion, labels, metric), champion)
    return answers_of(report)[Rule.OPPONENT] is Answer.PASS


def default_margins(seeds: int = SEEDS) -> Iterator[Row]:
    """Say how often an equal version passes, and one with a fifth less signal."""
    settings = (
        ("binary", "roc_auc"),
        ("binary", "accuracy"),
        ("binary", "f1"),
        ("multiclass", "neg_log_loss"),
        ("regression", "neg_mean_absolute_error"),
        ("regression", "r2"),
    )
    for problem, metric in settings:
        for rows in (200, 1000, 5000):
            for worse_by, words, most, least in (
                (0.0, "equal", None, 0.5),
                (0.4, "a fifth less signal", None, None),
            ):
                found = [
                    passes_by_default(problem, metric, seed, worse_by=worse_by, rows=rows)
                    for seed in range(seeds)
                ]
                what = f"default margin, {metric}, {rows:,} rows: passes, {words}"
                yield _row(what, np.mean(found), most, least)


def drifted(seed: int, *, step: float, margin: float | None, rows: int = 1000) -> float:
    """Return the signal after 100 challengers, each a step worse than the champion, give or take.

    A challenger has to pass against the champion and the best of the last ten, on new rows.
    """
    random = np.random.default_rng(seed)
    served = [2.0]
    for _ in range(100):
        labels, noise = labels_of("binary", rows, random), random.normal(size=(rows, 3))
        signal = served[-1] + random.normal(-step, 0.05)
        challenger = answers("binary", labels, signal, noise, random)
        passed = True
        for rival in {served[-1], max(served[-10:])}:
            champion = answers("binary", labels, rival, noise, random)
            report = report_of("roc_auc", challenger, naive(champion, labels, "roc_auc"), champion)
            passed = passed and answers_of(report, margin)[Rule.OPPONENT] is Answer.PASS
        if passed:
            served.append(signal)
    return served[-1]


def drift(seeds: int = 10) -> Iterator[Row]:
    """Say what is left of a signal of 2 after 100 challengers under the default margin."""
    for step in (0.0, 0.02, 0.1):
        for margin, words in ((None, "default margin"), (0.0, "margin 0")):
            found = [drifted(seed, step=step, margin=margin) for seed in range(seeds)]
            what = f"signal of 2 after 100 challengers, each {step:g} worse, {words}"
            yield Row("margins", what, f"{np.mean(found):.2f}")


def _row(what: str, share: float, most: float | None = None, least: float | None = None) -> Row:
    if least is not None:
        return Row("margins", what, f"{share:.1%}", "", (1 - share) / (1 - least), 1.0)
    ratio = None if most is None else share / most
    return Row("margins", what, f"{share:.1%}", "", ratio, None if most is None else 1.0)
