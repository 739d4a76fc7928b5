"""Scores of the contenders of an evaluation, overall and per slice, and the report made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType

import numpy as np

from include.retraining.config.model import ModelConfig
from include.retraining.config.scorers import Scorer
from include.retraining.data.labels import Class, class_names
from include.retraining.evaluation.calibration import compare_calibration
from include.retraining.evaluation.comparison import TAIL, compare
from include.retraining.evaluation.contenders import Contender, Role
from include.retraining.evaluation.fairness import audit_fairness, value_names
from include.retraining.evaluation.holdout import HoldoutRows
from include.retraining.evaluation.metrics import compute, why_undefined
from include.retraining.evaluation.standard_error import standard_error
from include.retraining.evaluation.window_scores import score_windows
from include.retraining.exceptions import ConfigError
from include.retraining.gate.report import (
    Calibration,
    Comparison,
    EvaluationReport,
    Holdout,
    Opponent,
    Scores,
    SliceScores,
    Try,
)
from include.retraining.gate.tries import tail_of
from include.retraining.runs.manifest import RunManifest
from include.retraining.training.predictions import Predictions, Sample, as_sample

MAX_SLICE_VALUES = 100
SLICES_TAIL = 0.05
"""The chance that an equal challenger is found worse in any slice of a column, shared out among
them (Bonferroni). Holm's step-down would refuse in the same cases: it only names more slices."""


@dataclass(frozen=True)
class Scored:
    """A contender's predictions in the form that metrics take, and its scores."""

    sample: Sample
    scores: Scores


def make_report(
    run: RunManifest,
    config: ModelConfig,
    holdout: HoldoutRows,
    contenders: Sequence[Contender],
    *,
    scorers: Mapping[str, Scorer] = MappingProxyType({}),
    tried: Try | None = None,
) -> EvaluationReport:
    """Score every contender on the same rows and compare the challenger with its opponents.

    Args:
        run: the run's plan.
        config: the model's.
        holdout: the rows.
        contenders: the challenger, the baseline, and the opponents that there are.
        scorers: of the metrics of the model's team, by name.
        tried: which try on these rows it is; the intervals against champions are of its level.

    Raises:
        ConfigError: when a slice column has too many different values.
    """
    classes = _scored_classes(config, holdout)
    scored = {
        one.role: _score(one, one.predictions, config, holdout, classes=classes, scorers=scorers)
        for one in contenders
        if one.predictions is not None
    }
    challenger, champion = scored["challenger"], scored.get("champion")
    tail = tail_of(tried.number if tried else 1)
    opponents = _opponents(contenders, scored, config.gates.metric, tail)
    return EvaluationReport(
        model=run.model,
        run_id=run.run_id,
        fingerprint=run.fingerprint,
        created_at=datetime.now(UTC),
        problem=config.problem,
        metric=config.gates.metric,
        split=holdout.split,
        holdout=_described(holdout, _left_out(classes, contenders)),
        challenger=challenger.scores,
        baseline=scored["baseline"].scores,
        champion=opponents.get("champion"),
        against_baseline=_compare(challenger, scored["baseline"], config.gates.metric),
        best=opponents.get("best"),
        slices=_score_slices(
            holdout, challenger.sample, champion.sample if champion else None, config
        ),
        fairness=audit_fairness(holdout.frame, challenger.sample, config),
        calibration=_calibration(challenger, champion, config),
        tried=tried,
        windows=score_windows(config, holdout, contenders, scorers=scorers, tail=tail),
    )


def _calibration(
    challenger: Scored, champion: Scored | None, config: ModelConfig
) -> Calibration | None:
    if config.gates.calibration is None:
        return None
    digest = challenger.scores.holdout_digest
    other = champion.sample if champion else None
    return compare_calibration(challenger.sample, other, holdout_digest=digest)


def _described(holdout: HoldoutRows, left_out: tuple[Class, ...]) -> Holdout:
    return Holdout(
        rows=holdout.rows,
        digest=holdout.digest,
        rows_in_training=holdout.rows_in_training,
        left_out_classes=left_out,
    )


def _opponents(
    contenders: Sequence[Contender], scored: Mapping[Role, Scored], metric: str, tail: float
) -> dict[Role, Opponent]:
    """Return those that served, by their role, each with its comparison with the challenger."""
    return {
        one.role: Opponent(
            serving=one.serving,
            split=one.manifest.split if one.manifest else None,
            scores=scored[one.role].scores if one.role in scored else None,
            comparison=_compare(scored["challenger"], scored.get(one.role), metric, tail),
            error=one.error,
            judged=one.judged,
        )
        for one in contenders
        if one.serving is not None
    }


def _scored_classes(config: ModelConfig, holdout: HoldoutRows) -> tuple[Class, ...] | None:
    """Return the classes of a multiclass problem that have a row in the holdout."""
    if config.problem != "multiclass":
        return None
    return _sorted(class_names(np.unique(holdout.labels)))


def _left_out(
    classes: tuple[Class, ...] | None, contenders: Sequence[Contender]
) -> tuple[Class, ...]:
    """Return the classes that a contender knows and that have no row in the holdout."""
    if classes is None:
        return ()
    known = {
        name
        for one in contenders
        if one.predictions
        for name in class_names(one.predictions.classes or ())
    }
    return _sorted(known - set(classes))


def _sorted(classes: Iterable[Class]) -> tuple[Class, ...]:
    return tuple(sorted(classes, key=lambda value: (isinstance(value, str), value)))


def _score(
    contender: Contender,
    predictions: Predictions,
    config: ModelConfig,
    holdout: HoldoutRows,
    *,
    classes: tuple[Class, ...] | None,
    scorers: Mapping[str, Scorer],
) -> Scored:
    sample = as_sample(
        holdout.labels,
        predictions,
        problem=config.problem,
        positive=config.data.positive,
        classes=classes,
    )
    sample = replace(sample, scorers=scorers)
    manifest = contender.manifest
    scores = Scores(
        version=manifest.version if manifest else contender.role,
        holdout_digest=holdout.digest,
        metrics={metric: compute(metric, sample) for metric in config.gates.metrics},
        undefined={
            metric: reason
            for metric in config.gates.metrics
            if (reason := why_undefined(metric, sample)) is not None
        },
        standard_error=standard_error(config.gates.metric, sample),
        answers=contender.answers,
        latency_ms_per_1000_rows=contender.latency_ms,
        model_bytes=manifest.model_bytes if manifest else None,
    )
    return Scored(sample, scores)


def _compare(
    challenger: Scored, opponent: Scored | None, metric: str, tail: float = TAIL
) -> Comparison | None:
    if opponent is None:
        return None
    digest = challenger.scores.holdout_digest
    return compare(metric, challenger.sample, opponent.sample, holdout_digest=digest, tail=tail)


def _score_slices(
    holdout: HoldoutRows, challenger: Sample, champion: Sample | None, config: ModelConfig
) -> tuple[SliceScores, ...]:
    """Return the decision metric for every value of the columns that the gate names."""
    scores = []
    metric = config.gates.metric
    for column in dict.fromkeys(rule.column for rule in config.gates.slices):
        names = value_names(holdout.frame[column])
        values, counts = np.unique(names, return_counts=True)
        if len(values) > MAX_SLICE_VALUES:
            raise ConfigError(
                f"gates.slices: {column!r} has {len(values):,} different values in the holdout, "
                f"a slice column has at most {MAX_SLICE_VALUES}"
            )
        judged = int((counts >= config.gates.min_group_rows).sum())
        for value, count in zip(values, counts, strict=True):
            chosen = names == value
            of_challenger = challenger.take(chosen)
            of_champion = None if champion is None else champion.take(chosen)
            between = of_champion and compare(
                metric,
                of_challenger,
                of_champion,
                holdout_digest=holdout.digest,
                tail=SLICES_TAIL / max(judged, 1),
            )
            scores.append(
                SliceScores(
                    column=column,
                    value=str(value),
                    rows=int(count),
                    is_judged=bool(count >= config.gates.min_group_rows),
                    challenger=compute(metric, of_challenger),
                    champion=None if of_champion is None else compute(metric, of_champion),
                    undefined=why_undefined(metric, of_challenger)
                    or (None if of_champion is None else why_undefined(metric, of_champion)),
                    difference=between.difference if between else None,
                    upper=between.upper if between else None,
                )
            )
    return tuple(scores)
