"""What a grade is read beside: the permutation null and the champion before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from include.retraining.monitoring.comparison_lines import (
    MIN_SHUFFLES,
    SHUFFLED_ROWS,
    SHUFFLES,
    against_before,
    champion_before,
    null_scores,
)
from include.retraining.monitoring.delivery_grade import grade_champion
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.runs.manifest import Serving
from include.retraining.training.predictions import Sample
from tests.support.toy_models import Toy, make_frame

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


def more_rows(seed: int) -> pd.DataFrame:
    """The toy's first delivery, and rows of other keys."""
    new = make_frame("binary", 600, seed=seed)
    first = make_frame("binary")
    return pd.concat([first, new.assign(id=new["id"] + 100_000 * seed)], ignore_index=True)


def promoted(toy: Toy) -> str:
    """Train a toy on its delivery, promote the version and return its name."""
    job, report = toy.run()
    toy.promote(job, report)
    return job.manifest.version


def test_a_delivery_grades_the_champion_beside_the_version_before(
    make_toy: Callable[..., Toy],
) -> None:
    """Both are scored on the same new rows, and the difference is the one of their scores."""
    toy = make_toy()
    first = promoted(toy)
    toy.deliver(more_rows(1))
    promoted(toy)
    toy.deliver(more_rows(2))
    grade = grade_champion(toy.plan())
    assert grade is not None
    assert grade.before is not None
    assert grade.null is not None
    assert grade.score is not None
    assert grade.before.serving == Serving(version=first, generation=1)
    assert grade.before.score is not None
    difference = grade.score.value - grade.before.score
    assert grade.before.difference == pytest.approx(difference)


def test_the_version_before_a_rollback_is_the_one_that_was_taken_out(
    make_toy: Callable[..., Toy],
) -> None:
    """After a rollback the champion is compared with the version that it replaced."""
    toy = make_toy()
    first = promoted(toy)
    toy.deliver(more_rows(1))
    second = promoted(toy)
    promotions = PromotionLog(toy.store, toy.name)
    assert champion_before(promotions, 1) is None
    Registry(toy.store, toy.name).rollback(first, actor="ann", reason="it is bad")
    entry = champion_before(promotions, 3)
    assert entry is not None
    assert entry.version == second
