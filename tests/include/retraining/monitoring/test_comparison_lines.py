"""What a grade is read beside: the permutation null and the champion before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from include.retraining.monitoring.comparison_lines import (
    MIN_SHUFFLES,
    SHUFFLED_ROWS,
    SHUFFLES,
    against_before,
    null_scores,
)
from include.retraining.runs.manifest import Serving
from include.retraining.training.predictions import Sample

BEFORE = Serving(version="before", generation=1)


def sample(rows: int = 400, *, signal: float = 1.5, seed: int = 0) -> Sample:
    """A binary problem's labels, and probabilities that follow them more or less."""
    random = np.random.default_rng(seed)
    labels = (np.arange(rows) % 2).astype(np.int8)
    chances = 1 / (1 + np.exp(-(signal * (2 * labels - 1) + random.normal(size=rows))))
    return Sample("binary", labels, (chances > 0.5).astype(np.int8), chances)


def test_the_null_of_an_area_is_a_half_with_the_spread_of_the_rank_test() -> None:
    """Its spread is the one that Mann and Whitney give for two samples without a relation."""
    null = null_scores("roc_auc", sample(), seeded_by=("toy",))
    assert null is not None
    known = np.sqrt((200 + 200 + 1) / (12 * 200 * 200))
    assert null.shuffles == SHUFFLES
    assert null.mean == pytest.approx(0.5, abs=4 * known / np.sqrt(SHUFFLES))
    assert null.spread == pytest.approx(known, rel=0.25)


def test_the_same_window_has_the_same_null_and_another_one_another() -> None:
    """The shuffles follow from what they are seeded by."""
    once = null_scores("roc_auc", sample(), seeded_by=("toy", "2026-11-24"))
    assert once == null_scores("roc_auc", sample(), seeded_by=("toy", "2026-11-24"))
    assert once != null_scores("roc_auc", sample(), seeded_by=("toy", "2026-11-25"))


def test_many_rows_are_shuffled_less_often() -> None:
    """With more rows than can be shuffled a hundred times, the fewest shuffles are made."""
    many = sample(SHUFFLED_ROWS // MIN_SHUFFLES + 2)
    null = null_scores("accuracy", many, seeded_by=("toy",))
    assert null is not None
    assert null.shuffles == MIN_SHUFFLES


def test_a_metric_without_a_value_has_no_null() -> None:
    """Labels of one class have no area under a curve, however they are shuffled."""
    one_class = replace(sample(), labels=np.zeros(400, dtype=np.int8))
    assert null_scores("roc_auc", one_class, seeded_by=("toy",)) is None


def test_a_better_version_than_the_one_before_is_shown_with_its_interval() -> None:
    """The difference is paired: on the same rows its interval excludes 0."""
    better, worse = sample(signal=2.0), sample(signal=0.2, seed=1)
    before = against_before("roc_auc", better, worse, BEFORE, rows_digest="0" * 64)
    assert before.difference is not None
    assert before.low is not None
    assert before.high is not None
    assert 0 < before.low < before.difference < before.high
    assert before.serving == BEFORE


def test_a_difference_that_is_not_defined_says_why() -> None:
    """Where the metric has no value there is a reason in the place of the difference."""
    one_class = replace(sample(), labels=np.zeros(400, dtype=np.int8))
    before = against_before("roc_auc", one_class, one_class, BEFORE, rows_digest="0" * 64)
    assert before.difference is None
    assert before.error == "roc_auc: 400 rows, 0 positive"
