"""The standard error of a metric."""

from __future__ import annotations

import numpy as np
import pytest

from include.retraining.evaluation.metrics import METRICS
from include.retraining.evaluation.standard_error import standard_error
from include.retraining.training.predictions import Sample


def binary(rows: int, right: float, *, positives: int | None = None) -> Sample:
    """Labels and answers of which a share is right, for each class."""
    random = np.random.default_rng(0)
    labels = (np.arange(rows) < (rows // 2 if positives is None else positives)).astype(np.int8)
    is_right = random.random(rows) < right
    values = np.where(is_right, labels, 1 - labels)
    return Sample("binary", labels, values, np.clip(values * 0.6 + 0.2, 0, 1))


@pytest.mark.parametrize("rows", [400, 20_000])
def test_it_is_that_of_a_share(rows: int) -> None:
    """Of accuracy it is the root of p (1 - p) / n."""
    found = standard_error("accuracy", binary(rows, 0.8))
    assert found == pytest.approx(np.sqrt(0.8 * 0.2 / rows), rel=0.25)


def test_few_positives_that_were_all_found_are_no_certainty() -> None:
    """Of ten positives of ten the recall is 1, and its error is not 0."""
    found = standard_error("recall", binary(1000, 1.0, positives=10))
    assert found is not None
    assert found > 0.03


@pytest.mark.parametrize("problem", sorted(METRICS))
def test_every_metric_has_one(problem: str) -> None:
    """For each metric of each problem it is a number above 0."""
    random = np.random.default_rng(0)
    if problem == "regression":
        labels = random.normal(size=200)
        sample = Sample(problem, labels, labels + random.normal(size=200), None)
    elif problem == "binary":
        sample = binary(200, 0.8)
    else:
        labels = np.arange(200) % 3
        chances = random.dirichlet([1, 1, 1], 200)
        sample = Sample(problem, labels, chances.argmax(axis=1), chances)
    for metric in METRICS[problem]:
        found = standard_error(metric, sample)
        assert found is not None, metric
        assert found > 0, metric


def test_there_is_none_where_the_metric_is_not_defined() -> None:
    """Without probabilities there is no area under the curve, so no error of it."""
    sample = binary(200, 0.8)
    without = Sample("binary", sample.labels, sample.values, None)
    assert standard_error("roc_auc", without) is None
