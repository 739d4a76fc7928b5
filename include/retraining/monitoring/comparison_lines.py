"""What a score is read beside, on the same rows: the champion before, and what chance gives.

The champion before says whether the change was right, the permutation null where nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from include.retraining.config.model import ModelConfig
from include.retraining.config.scorers import Scorer
from include.retraining.data.arrays import Labels
from include.retraining.data.labels import class_names
from include.retraining.documents import canonical_json, sha256_of
from include.retraining.evaluation.comparison import compare
from include.retraining.evaluation.metrics import compute, why_undefined
from include.retraining.evaluation.standard_error import standard_error
from include.retraining.monitoring.grade import Interval, NullScores, VersionBefore
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.runs.manifest import Serving
from include.retraining.training.predictions import Predictions, Sample, as_sample

SHUFFLES = 100
SHUFFLED_ROWS = 5_000_000
"""How many rows are shuffled in all: of many rows the null is known from fewer shuffles."""
MIN_SHUFFLES = 20


class Measured(NamedTuple):
    """The score of a sample, or why it has none."""

    score: Interval | None
    cannot_judge: str | None
    """None exactly where there is a score."""


def sample_of(
    labels: Labels, predictions: Predictions, config: ModelConfig, scorers: Mapping[str, Scorer]
) -> Sample:
    """Return labels and predictions of the same rows in the form that metrics take.

    Args:
        labels: as `label_values` returns them.
        predictions: for the same rows.
        config: the model's.
        scorers: of the metrics of the model's team, by name.
    """
    classes = None
    if config.problem == "multiclass":
        held = class_names(np.unique(labels))
        classes = tuple(sorted(held, key=lambda name: (isinstance(name, str), name)))
    sample = as_sample(
        labels,
        predictions,
        problem=config.problem,
        positive=config.data.positive,
        classes=classes,
    )
    return replace(sample, scorers=scorers)


def measured(sample: Sample, config: ModelConfig) -> Measured:
    """Return the decision metric of a sample with its interval, or why it cannot be judged."""
    metric, least = config.gates.metric, config.gates.min_holdout_rows
    if sample.rows < least:
        return Measured(
            None,
            f"{sample.rows:,} rows can be scored, at least {least:,} are needed "
            "(gates.min_holdout_rows)",
        )
    value, error = compute(metric, sample), standard_error(metric, sample)
    if value is None or error is None:
        reason = why_undefined(metric, sample) or "its error is not defined"
        return Measured(None, f"{metric}: {reason}")
    return Measured(Interval.around(value, error, sample.rows), None)


def champion_before(log: PromotionLog, generation: int) -> PromotionEntry | None:
    """Return the newest entry of another version before one of the log, None where none is.

    Args:
        log: the model's promotion log.
        generation: of the entry by which the graded version served.

    Raises:
        RegistryError: when the promotion log cannot be read.
    """
    version = log.entry(generation).version
    for entry in log.newest_first():
        if entry.generation < generation and entry.version != version:
            return entry
    return None


def against_before(
    metric: str,
    graded: Sample,
    before: Sample,
    serving: Serving,
    *,
    rows_digest: str,
) -> VersionBefore:
    """Return the paired comparison of a graded version with the champion before.

    Args:
        metric: the decision metric.
        graded: the sample of the graded version.
        before: that of the champion before, for the same rows in the same order.
        serving: version and generation of the champion before.
        rows_digest: SHA-256 of the rows.
    """
    score = compute(metric, before)
    between = compare(metric, graded, before, holdout_digest=rows_digest)
    if between is None:
        reason = why_undefined(metric, before) or "the difference is not defined"
        return VersionBefore(serving=serving, score=score, error=f"{metric}: {reason}")
    return VersionBefore(
        serving=serving,
        score=score,
        difference=between.difference,
        low=between.lower,
        high=between.upper,
    )


def null_scores(metric: str, sample: Sample, *, seeded_by: Sequence[str]) -> NullScores | None:
    """Return what the same predictions score when the labels are shuffled among the rows.

    A permutation null (Good, *Permutation, Parametric and Bootstrap Tests of Hypotheses*, 2005): it
    keeps both distributions, so that its mean is what the metric gives for no relation at all.

    Args:
        metric: the decision metric, defined on the sample.
        sample: labels and predictions.
        seeded_by: what the shuffles depend on, so that a grade can be made again.

    Returns:
        Mean and spread of up to `SHUFFLES` shuffles, of fewer where there are many rows; None when
        the metric is not defined on the shuffled rows.
    """
    seed = int(sha256_of(canonical_json(list(seeded_by)))[:16], 16)
    random = np.random.default_rng(seed)
    shuffles = max(MIN_SHUFFLES, min(SHUFFLES, SHUFFLED_ROWS // max(sample.rows, 1)))
    scores = [
        score
        for _ in range(shuffles)
        if (score := compute(metric, replace(sample, labels=random.permutation(sample.labels))))
        is not None
    ]
    if len(scores) < MIN_SHUFFLES:
        return None
    return NullScores(
        mean=float(np.mean(scores)), spread=float(np.std(scores, ddof=1)), shuffles=len(scores)
    )
