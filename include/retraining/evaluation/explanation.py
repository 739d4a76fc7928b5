"""Which columns matter to the challenger, and what changed against the champion: for the card.

It takes at most a tenth of an evaluation's time: fewer rows and repeats are asked where that is not
enough, and columns that hardly move the predictions are not scored. Nothing here is judged, and no
error of it is one of the evaluation.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from include.retraining.config.model import ModelConfig
from include.retraining.evaluation.contenders import Contender
from include.retraining.evaluation.holdout import HoldoutRows
from include.retraining.evaluation.importance import Effect, Scoring, Undefined, Version
from include.retraining.evaluation.shuffling import Shuffled, Shuffler, Stopwatch, taken
from include.retraining.gate.importance import ColumnImportance, Importances
from include.retraining.gate.report import EvaluationReport
from include.retraining.runs.foreign_errors import withheld

log = logging.getLogger(__name__)

SHARE = 0.04
"""Of the evaluation's time so far, for scoring the answers. With `shuffling.SHARE` for challenger
and champion each, it is the tenth."""
MAX_COLUMNS = 10


def explain(
    config: ModelConfig,
    holdout: HoldoutRows,
    contenders: Sequence[Contender],
    report: EvaluationReport,
    shuffler: Shuffler | None,
) -> Importances:
    """Return what the columns are worth to the challenger, and to the champion beside it.

    Args:
        config: the model's.
        holdout: the rows of the evaluation.
        contenders: those of the evaluation, with what they answered to the shuffler.
        report: that the importances stand beside.
        shuffler: that asked them; None when every metric is the team's own.
    """
    by_role = {one.role: one for one in contenders}
    challenger, champion = by_role["challenger"], by_role.get("champion")
    found: dict[str, Any] = {}
    so_far, watch = 0.0, Stopwatch(0.0)
    if shuffler is None:
        why = "every metric is the team's own, and an interval takes 200 calls of its scorer"
        found = {"not_measured": why}
    else:
        so_far = shuffler.time_so_far()
        watch = Stopwatch(SHARE * so_far, shuffler.clock)
        try:
            found = _Explanation(config, holdout, shuffler, watch).of(challenger, champion)
        except Exception as error:  # noqa: BLE001 an explanation must not fail an evaluation
            found = {"not_measured": f"measuring failed: {withheld(error, log)}"}
    scored = watch.elapsed
    asked = [one.shuffled for one in (challenger, champion) if one is not None]
    spent = scored + sum(one.seconds for one in asked if isinstance(one, Shuffled))
    return Importances(
        run_id=report.run_id,
        report_digest=report.content_digest,
        metric=shuffler.metric if shuffler else None,
        seconds=round(spent, 4),
        evaluation_seconds=round(so_far + scored, 4),
        **found,
    )


class _Explanation:
    """The importances of one evaluation, while its time lasts."""

    def __init__(
        self, config: ModelConfig, holdout: HoldoutRows, shuffler: Shuffler, watch: Stopwatch
    ) -> None:
        self._config, self._holdout = config, holdout
        self._shuffler, self._watch = shuffler, watch

    def of(self, challenger: Contender, champion: Contender | None) -> dict[str, Any]:
        """Return the fields of the document that say what was measured, or why it was not."""
        if not isinstance(challenger.shuffled, Shuffled):
            return {"not_measured": challenger.shuffled or challenger.error}
        found: dict[str, Any] = {}
        rival = champion
        if champion is not None and not isinstance(champion.shuffled, Shuffled):
            found["champion_not_measured"] = champion.shuffled or champion.error or "unknown"
            rival = None
        compared = [challenger] if rival is None else [challenger, rival]
        shuffles = [one.shuffled for one in compared if isinstance(one.shuffled, Shuffled)]
        rows = min(one.rows for one in shuffles)
        scoring = Scoring(
            metric=self._shuffler.metric,
            config=self._config,
            labels=self._holdout.labels[self._shuffler.order[:rows]],
            repeats=min(one.repeats for one in shuffles),
        )
        began = self._watch.elapsed
        try:
            versions = [self._version(one, scoring) for one in compared]
        except Undefined as error:
            return found | {"not_measured": f"{scoring.metric} is not defined: {error}"}
        expected = (self._watch.elapsed - began) * scoring.repeats
        columns = self._columns(versions, scoring, expected)
        if not columns:
            found["not_measured"] = "the evaluation was too short to score a shuffled column"
        return found | {
            "rows": rows,
            "repeats": scoring.repeats,
            "columns_read": len(_ranked(versions)),
            "columns": tuple(sorted(columns, key=_importance, reverse=True)),
        }

    def _version(self, contender: Contender, scoring: Scoring) -> Version:
        chosen = self._shuffler.order[: scoring.rows]
        predictions, shuffled = contender.predictions, contender.shuffled
        if predictions is None or not isinstance(shuffled, Shuffled):
            raise TypeError(f"{contender.role} was not asked")
        return Version(taken(predictions, chosen), shuffled, scoring)

    def _columns(
        self, versions: Sequence[Version], scoring: Scoring, expected: float
    ) -> list[ColumnImportance]:
        """Score the columns that move the predictions most, as many as the time allows."""
        scored: list[ColumnImportance] = []
        for column in _ranked(versions)[:MAX_COLUMNS]:
            if expected > self._watch.left:
                break
            began = self._watch.elapsed
            try:
                effects = [version.effect(column) for version in versions]
            except Undefined:
                continue  # nothing is known of a version that answers so
            scored.append(_importance_of(column, effects, scoring, len(self._shuffler.order)))
            expected = self._watch.elapsed - began
        return scored


def _ranked(versions: Sequence[Version]) -> list[str]:
    """Return the columns that any version reads, first what moves one of them most."""
    movements = [version.movements() for version in versions]
    names = dict.fromkeys(name for moved in movements for name in moved)
    most = {name: max(moved.get(name, 0.0) for moved in movements) for name in names}
    return sorted(names, key=lambda name: most[name], reverse=True)


def _importance_of(
    column: str, effects: Sequence[Effect | None], scoring: Scoring, others: int
) -> ColumnImportance:
    """Return a column's row: of the challenger, of the champion where it was measured, and both."""
    nothing = scoring.nothing()
    challenger, *rest = effects
    change = None
    if rest:
        before, now = rest[0] or nothing, challenger or nothing
        change = Effect(now.value - before.value, now.influences - before.influences).loss(others)
    champion = rest[0] if rest else None
    return ColumnImportance(
        column=column,
        challenger=challenger.loss(others) if challenger else None,
        champion=champion.loss(others) if champion else None,
        change=change,
    )


def _importance(column: ColumnImportance) -> float:
    """Return by what a column is put in order."""
    loss = column.challenger or column.champion
    return loss.value if loss else 0.0
