from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.retraining.config.model import ModelConfig
from include.retraining.data.arrays import Labels
from include.retraining.evaluation.importance import Scoring, Version
from include.retraining.evaluation.shuffling import Shuffled, Shuffler, random_order, taken
from include.retraining.gate.importance import Loss
from include.retraining.training.predictions import Predictions
from tests.support.run_factory import CONFIG

REGRESSION = CONFIG.model_copy(update={"problem": "regression"})


class Doubling:
    """It says twice `a`."""

    def predict(self, rows: pd.DataFrame) -> Any:
        """Return twice `a`."""
        return 2 * rows["a"].to_numpy()


class Logistic:
    """It says yes the likelier, the greater `a`."""

    def predict_proba(self, rows: pd.DataFrame) -> Any:
        """Return the chances of no and yes."""
        chance = 1 / (1 + np.exp(-2 * rows["a"].to_numpy()))
        return np.column_stack((1 - chance, chance))


def losses(
    model: Any, frame: pd.DataFrame, labels: Labels, predictions: Predictions, metric: str
) -> tuple[dict[str, Loss], Shuffled]:
    """Return what each column is worth, on all rows."""
    order = random_order(len(frame))
    ask = Shuffler(metric, order, lambda: 1_000.0)
    shuffled = ask(model, frame, predictions, 1.0)
    assert isinstance(shuffled, Shuffled), shuffled
    config: ModelConfig = REGRESSION if predictions.classes is None else CONFIG
    scoring = Scoring(metric, config, labels[order], shuffled.repeats)
    version = Version(taken(predictions, order), shuffled, scoring)
    found = {name: version.effect(name) for name in frame.columns}
    return {name: one.loss(len(order)) for name, one in found.items() if one}, shuffled


def squared_errors(seed: int, rows: int) -> dict[str, Loss]:
    """Return the losses of a model of which the true ones are known: 8 for `a`, 0 for `b`."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(random.normal(size=(rows, 2)), columns=["a", "b"])
    labels = 2 * frame["a"].to_numpy() + random.normal(size=rows)
    predictions = Predictions(Doubling().predict(frame), None, None)
    return losses(Doubling(), frame, labels, predictions, "neg_mean_squared_error")[0]


def test_the_loss_is_the_known_one():
    """For a linear model, the squared error grows by twice the squared coefficient's variance."""
    found = squared_errors(1, 5_000)
    assert found["a"].value == pytest.approx(8, rel=0.05)
    assert found["b"] == Loss(value=0.0, lower=0.0, upper=0.0)


def test_the_interval_holds():
    """Of 200 holdouts of 200 rows, the interval holds the true loss in about 95 %."""
    held = [
        found.lower <= 8 <= found.upper
        for found in (squared_errors(seed, 200)["a"] for seed in range(200))
    ]
    assert 0.92 <= np.mean(held) <= 0.99


def test_it_agrees_with_scikit_learn():
    """The loss of an area under the curve is that of many of scikit-learn's permutations."""
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(3)
    frame = pd.DataFrame(random.normal(size=(2_000, 2)), columns=["a", "b"])
    chances = Logistic().predict_proba(frame)
    labels = (random.random(2_000) < chances[:, 1]).astype(int)
    predictions = Predictions((chances[:, 1] > 0.5).astype(int), chances, (0, 1))
    found, shuffled = losses(Logistic(), frame, labels, predictions, "roc_auc")
    assert shuffled.kind == "probabilities"
    without = [roc_auc_score(labels, random.permutation(frame["a"].to_numpy())) for _ in range(50)]
    expected = roc_auc_score(labels, chances[:, 1]) - np.mean(without)
    assert found["a"].lower < expected < found["a"].upper
    assert found["a"].value == pytest.approx(expected, abs=0.02)
    assert found["b"].value == pytest.approx(0, abs=1e-12)


def test_what_moves_the_predictions_most_comes_first():
    """The column that is read moves them, the other one does not."""
    random = np.random.default_rng(4)
    frame = pd.DataFrame(random.normal(size=(200, 2)), columns=["b", "a"])
    predictions = Predictions(Doubling().predict(frame), None, None)
    order = random_order(200)
    shuffled = Shuffler("r2", order, lambda: 1_000.0)(Doubling(), frame, predictions, 1.0)
    assert isinstance(shuffled, Shuffled)
    labels = predictions.values[order]
    scoring = Scoring("r2", REGRESSION, labels + random.normal(size=200), shuffled.repeats)
    version = Version(taken(predictions, order), shuffled, scoring)
    assert version.movements() == {"b": 0.0, "a": 1.0}
