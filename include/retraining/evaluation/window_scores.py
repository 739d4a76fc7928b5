"""Scores of the periods before the holdout: the challenger's recipe beside the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from include.retraining.config.model import ModelConfig
from include.retraining.config.scorers import Scorer
from include.retraining.data.arrays import RowMask
from include.retraining.data.labels import Class, class_names
from include.retraining.evaluation.comparison import TAIL, compare
from include.retraining.evaluation.contenders import Contender
from include.retraining.evaluation.holdout import HoldoutRows, WindowRows
from include.retraining.evaluation.metrics import compute, why_undefined
from include.retraining.evaluation.naive_baseline import naive_baseline
from include.retraining.evaluation.window_predictions import WindowPredictions
from include.retraining.gate.report import Comparison, WindowScores
from include.retraining.training.predictions import Sample, as_sample


def score_windows(
    config: ModelConfig,
    holdout: HoldoutRows,
    contenders: Sequence[Contender],
    *,
    scorers: Mapping[str, Scorer],
    tail: float,
) -> tuple[WindowScores, ...]:
    """Score the challenger's recipe on each period before the holdout, and compare it.

    Args:
        config: the model's.
        holdout: with the periods.
        contenders: the challenger, and the opponents that there are.
        scorers: of the metrics of the model's team, by name.
        tail: what lies outside each end of an interval against a champion.
    """
    return tuple(
        _score(number, window, config, contenders, scorers=scorers, tail=tail)
        for number, window in enumerate(holdout.earlier)
    )


def _score(
    number: int,
    window: WindowRows,
    config: ModelConfig,
    contenders: Sequence[Contender],
    *,
    scorers: Mapping[str, Scorer],
    tail: float,
) -> WindowScores:
    metric = config.gates.metric
    predicted = {one.role: one.earlier[number] for one in contenders if one.earlier}
    challenger = predicted.pop("challenger")
    against: dict[str, Comparison | None] = {}
    reasons: dict[str, str] = {}
    others = {str(role): (one, tail) for role, one in predicted.items()}
    others["baseline"] = (_baseline(window, config, scorers), TAIL)
    for role, (other, outside) in others.items():
        between, reason = _compare(window, config, (challenger, other), scorers, outside)
        against[role] = between
        if reason is not None:
            reasons[role] = reason
    score = None
    if challenger.predictions is not None:
        score = compute(metric, _sample(window, config, challenger, challenger.known, scorers))
    return WindowScores(
        after=window.after,
        until=window.until,
        rows=len(window.labels),
        digest=window.digest,
        challenger=score,
        against=against,
        reasons=reasons,
    )


def _compare(
    window: WindowRows,
    config: ModelConfig,
    pair: tuple[WindowPredictions, WindowPredictions],
    scorers: Mapping[str, Scorer],
    tail: float,
) -> tuple[Comparison | None, str | None]:
    """Return the comparison on the rows that both predicted, or why there is none."""
    challenger, other = pair
    for one in pair:
        if one.predictions is None:
            return None, one.reason
    both, metric = challenger.known & other.known, config.gates.metric
    samples = [_sample(window, config, one, both, scorers) for one in pair]
    between = compare(metric, samples[0], samples[1], holdout_digest=window.digest, tail=tail)
    if between is None:
        reason = next(filter(None, (why_undefined(metric, sample) for sample in samples)), None)
        return None, reason or "their difference has no interval"
    return between, None


def _sample(
    window: WindowRows,
    config: ModelConfig,
    predicted: WindowPredictions,
    rows: RowMask,
    scorers: Mapping[str, Scorer],
) -> Sample:
    """Return some rows of a period with their predictions, in the form that metrics take."""
    assert predicted.predictions is not None  # noqa: S101 the caller asked
    labels = window.labels[rows]
    classes: tuple[Class, ...] | None = None
    if config.problem == "multiclass":
        names = class_names(np.unique(labels))
        classes = tuple(sorted(names, key=lambda name: (isinstance(name, str), name)))
    sample = as_sample(
        labels,
        predicted.predictions.take(np.flatnonzero(rows[predicted.known])),
        problem=config.problem,
        positive=config.data.positive,
        classes=classes,
    )
    return replace(sample, scorers=scorers)


def _baseline(
    window: WindowRows, config: ModelConfig, scorers: Mapping[str, Scorer]
) -> WindowPredictions:
    """Return what is best without the features, by the labels from before the period."""
    metric, rows = config.gates.metric, len(window.labels)
    contender = naive_baseline(
        window.train_labels,
        rows,
        problem=config.problem,
        metric=metric,
        positive=config.data.positive,
        scorer=scorers.get(metric),
    )
    return WindowPredictions(np.ones(rows, dtype=bool), contender.predictions)
