from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn import metrics as sk

from include.retraining.config import model as config
from include.retraining.evaluation import metrics
from include.retraining.evaluation.comparison import compare, paired_score_interval
from include.retraining.evaluation.influence import influence
from include.retraining.training.predictions import Sample

ALL = [(problem, name) for problem, names in config.METRICS.items() for name in sorted(names)]
DIGEST = "0" * 64


def make_sample(problem: str, rows: int, *, noise: float = 1.0, seed: int = 0) -> Sample:
    """Labels (the same for every noise) and predictions of a model that is off by some noise."""
    truth, random = np.random.default_rng(7), np.random.default_rng(seed)
    if problem == "regression":
        labels = truth.normal(50, 10, rows)
        return Sample(problem, labels, labels + random.normal(1, 5 * noise, rows), None)
    classes = 2 if problem == "binary" else 3
    labels = truth.integers(0, classes, rows)
    scores = random.normal(0, noise, (rows, classes)).round(1)  # rounded: ties
    scores[np.arange(rows), labels] += 1
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    values = chances.argmax(axis=1)
    return Sample(problem, labels, values, chances[:, 1] if classes == 2 else chances)


def _sklearn_value(name: str, sample: Sample, weights: np.ndarray) -> float:
    """The metric by scikit-learn's own functions, with a weight for each row."""
    scorers = {
        "neg_log_loss": lambda s, w: -sk.log_loss(s.labels, s.probabilities, sample_weight=w),
        "neg_brier_score": lambda s, w: (
            -sk.brier_score_loss(s.labels, s.probabilities, sample_weight=w)
        ),
        "average_precision": lambda s, w: sk.average_precision_score(
            s.labels, s.ranking, sample_weight=w
        ),
        "roc_auc": lambda s, w: sk.roc_auc_score(s.labels, s.ranking, sample_weight=w),
        "roc_auc_ovr": lambda s, w: np.mean([
            sk.roc_auc_score(s.labels == k, s.probabilities[:, k], sample_weight=w)
            for k in range(s.probabilities.shape[1])
        ]),
    }
    if name in scorers:
        return float(scorers[name](sample, weights))
    stem = name.removeprefix("neg_")
    average = next((kind for kind in ("macro", "weighted") if stem.endswith(kind)), "binary")
    stem = stem.removesuffix(f"_{average}")
    function = {
        "accuracy": sk.accuracy_score,
        "balanced_accuracy": sk.balanced_accuracy_score,
        "matthews_corrcoef": sk.matthews_corrcoef,
        "f1": sk.f1_score,
        "precision": sk.precision_score,
        "recall": sk.recall_score,
        "explained_variance": sk.explained_variance_score,
        "mean_absolute_error": sk.mean_absolute_error,
        "mean_squared_error": sk.mean_squared_error,
        "root_mean_squared_error": sk.root_mean_squared_error,
        "r2": sk.r2_score,
    }[stem]
    more = {"average": average} if stem in {"f1", "precision", "recall"} else {}
    value = function(sample.labels, sample.values, sample_weight=weights, **more)
    return -value if name.startswith("neg_") else value


@pytest.mark.parametrize(
    ("problem", "name"), [one for one in ALL if one[1] != "neg_median_absolute_error"]
)
def test_a_rows_influence_is_the_derivative_by_its_weight(problem: str, name: str):
    """A row's influence is how scikit-learn's metric moves with its weight, ties included."""
    sample = make_sample(problem, 61)
    rows = influence(name, sample).rows
    for at in range(0, 61, 7):
        up, down = np.ones(61), np.ones(61)
        up[at] += 1e-4
        down[at] -= 1e-4
        slope = (_sklearn_value(name, sample, up) - _sklearn_value(name, sample, down)) / 2e-4
        assert rows[at] / 61 == pytest.approx(slope, rel=1e-3, abs=1e-7)
    assert rows.sum() == pytest.approx(0, abs=1e-6)


def test_the_influences_on_a_median_give_the_spread_of_medians():
    """Their standard error is that of the medians of samples drawn anew, within a fifth."""
    random = np.random.default_rng(3)
    errors = random.normal(0, 3, (400, 401))
    medians = [-np.median(np.abs(row)) for row in errors]
    found = [
        influence("neg_median_absolute_error", Sample("regression", row, np.zeros(401), None)).rows
        for row in errors
    ]
    error = np.mean([np.sqrt((rows**2).sum()) / 401 for rows in found])
    assert error == pytest.approx(np.std(medians), rel=0.2)


@pytest.mark.parametrize(("problem", "name"), ALL)
def test_a_much_better_challenger_lies_above_and_itself_spans_zero(problem: str, name: str):
    """The interval lies above zero for a far better model, and holds zero for an equal one."""
    better = make_sample(problem, 400, noise=0.3, seed=1)
    worse = make_sample(problem, 400, noise=3.0, seed=2)

    def run(one: Sample, other: Sample):
        found = compare(name, one, other, holdout_digest=DIGEST)
        assert found is not None
        return found

    up, down, itself = run(better, worse), run(worse, better), run(better, better)
    assert 0 < up.lower < up.difference < up.upper
    assert down.lower < down.difference < down.upper < 0
    assert itself.lower < 0 < itself.upper
    assert up.rows == 400
    assert up.holdout_digest == DIGEST
    assert up.difference == metrics.compute(name, better) - metrics.compute(name, worse)


@pytest.mark.parametrize(("problem", "name"), ALL)
def test_a_higher_level_gives_a_wider_interval(problem: str, name: str):
    """What lies outside is what was asked for, and the level is said."""
    one, other = make_sample(problem, 300, seed=1), make_sample(problem, 300, seed=2)
    usual = compare(name, one, other, holdout_digest=DIGEST)
    strict = compare(name, one, other, holdout_digest=DIGEST, tail=0.0001)
    assert strict.lower < usual.lower < usual.upper < strict.upper
    assert (usual.level, strict.level) == pytest.approx((0.95, 0.9998))


def test_a_class_that_is_missing_cannot_be_compared():
    """Without a positive row there is no area under the curve, and no interval."""
    sample = make_sample("binary", 50)
    empty = Sample("binary", np.zeros(50, dtype=int), sample.values, sample.probabilities)
    assert compare("roc_auc", empty, empty, holdout_digest=DIGEST) is None


@pytest.mark.fault("F09")
@pytest.mark.parametrize("name", ["recall", "f1", "balanced_accuracy", "matthews_corrcoef"])
def test_agreeing_on_few_positives_is_no_evidence(name: str):
    """Two versions that agree on all of ten positives are not known to agree on the next."""
    labels = np.repeat([1, 0], [10, 990])
    sample = Sample("binary", labels, labels.copy(), None)
    found = compare(name, sample, sample, holdout_digest=DIGEST)
    assert found.lower < -0.1 < 0.1 < found.upper
    assert found.narrowest == pytest.approx(found.upper)
    assert found.rarest == 10


@pytest.mark.parametrize("name", ["neg_median_absolute_error", "r2"])
def test_a_large_holdout_is_quick(name: str):
    """A million rows take seconds."""
    one, other = (make_sample("regression", 1_000_000, seed=seed) for seed in (1, 2))
    started = time.monotonic()
    found = compare(name, one, other, holdout_digest=DIGEST)
    assert time.monotonic() - started < 15
    assert found.lower < found.difference < found.upper
    assert found.rows == 1_000_000


@pytest.mark.parametrize("worse", [0, 3, 10, 40])
def test_the_score_interval_belongs_to_mcnemars_test(worse: int):
    """It excludes 0 just when McNemar's statistic exceeds the 95 % point of chi squared."""
    for better in range(60):
        is_significant = (better - worse) ** 2 > 3.8414588 * (better + worse)
        lower, upper = paired_score_interval(better, worse, 400)
        assert (lower > 1e-9 or upper < -1e-9) == is_significant


@pytest.mark.fault("F09")
def test_the_score_interval_of_models_that_never_differ():
    """Without a row that differs its half-width is z² / (n + z²): few rows prove little."""
    for rows in (20, 500):
        expected = 3.8414588 / (rows + 3.8414588)
        assert paired_score_interval(0, 0, rows) == pytest.approx((-expected, expected))


@pytest.mark.parametrize(
    ("better", "worse", "rows"), [(0, 0, 100), (5, 0, 500), (0, 5, 500), (30, 20, 500), (9, 0, 9)]
)
def test_the_score_interval_holds_the_difference_and_mirrors(better: int, worse: int, rows: int):
    """The interval holds what was observed, has a width even at 0, and flips with its arguments."""
    lower, upper = paired_score_interval(better, worse, rows)
    observed = (better - worse) / rows
    assert lower - 1e-9 <= observed <= upper + 1e-9
    assert upper - lower > 0.001
    assert (-upper, -lower) == pytest.approx(paired_score_interval(worse, better, rows), abs=1e-9)


@pytest.mark.fault("F09")
@pytest.mark.parametrize(("p_better", "p_worse"), [(0.0, 0.01), (0.02, 0.03), (0.1, 0.1)])
def test_the_score_interval_is_seldom_wrong(p_better: float, p_worse: float):
    """Its lower end lies above the truth for about 2.5 % of holdouts only."""
    random = np.random.default_rng(11)
    counts = random.multinomial(500, [p_better, p_worse, 1 - p_better - p_worse], 1500)
    lowers = np.array([paired_score_interval(int(b), int(w), 500)[0] for b, w, _ in counts])
    assert np.mean(lowers > p_better - p_worse) < 0.045


def test_accuracy_is_compared_by_rows_that_differ():
    """The method says how many rows the two decide differently."""
    labels = np.zeros(200, dtype=int)
    ours, theirs = labels.copy(), labels.copy()
    ours[:3], theirs[3:13] = 1, 1
    found = compare(
        "accuracy",
        Sample("binary", labels, ours, None),
        Sample("binary", labels, theirs, None),
        holdout_digest=DIGEST,
    )
    assert found.method == "McNemar score interval, 13 of 200 rows differ"
    assert (found.lower, found.upper) == paired_score_interval(10, 3, 200)


@pytest.mark.parametrize("metric", ["r2", "neg_mean_absolute_error"])
def test_numbers_that_are_equal_in_every_row_are_no_doubt(metric: str) -> None:
    """A version that predicts the same to the last bit is within any margin, however few rows."""
    random = np.random.default_rng(0)
    labels = random.normal(size=40)
    sample = Sample("regression", labels, labels + random.normal(size=40), None)
    found = compare(metric, sample, sample, holdout_digest="x")
    assert found is not None
    assert found.difference == 0
    assert -1e-9 < found.lower < 0 < found.upper < 1e-9
