"""Who is scored: the challenger, the champion, the best champion of late."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from include.retraining.data.labels import class_names
from include.retraining.data.split_record import SplitUsed
from include.retraining.evaluation.guessed_keys import guessed_otherwise
from include.retraining.evaluation.holdout import HoldoutRows
from include.retraining.evaluation.shuffling import Shuffled, Shuffler
from include.retraining.evaluation.window_predictions import (
    WindowPredictions,
    predict_windows,
    read_kept,
)
from include.retraining.exceptions import (
    ArtifactError,
    EvidenceError,
    MissingObject,
    NotFound,
    TrainingError,
)
from include.retraining.gate.report import JudgedScore
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.registry.versions import VersionManifest, load_estimator, read_version
from include.retraining.runs.exhaustion import exhausted
from include.retraining.runs.foreign_errors import withheld
from include.retraining.runs.manifest import Serving
from include.retraining.store.object_store import Store
from include.retraining.training.command_model import started
from include.retraining.training.estimator import Estimator
from include.retraining.training.predictions import Predictions, predict
from include.retraining.training.rows_used import has_seen

log = logging.getLogger(__name__)

Role = Literal["challenger", "champion", "best", "baseline"]


@dataclass(frozen=True)
class Contender:
    """One version's part in an evaluation. An opponent that cannot be scored still takes part."""

    role: Role
    serving: Serving | None = None
    """For an opponent: the entry of the promotion log."""
    manifest: VersionManifest | None = None
    """None for the baseline, and for an opponent whose manifest cannot be read."""
    predictions: Predictions | None = None
    latency_ms: float | None = None
    error: str | None = None
    """Why there are no predictions."""
    judged: JudgedScore | None = None
    """What an opponent scored in the run that promoted it."""
    answers: str | None = None
    """For the baseline: what it always says."""
    shuffled: Shuffled | str | None = None
    """What it predicts when columns are shuffled, or why it was not asked."""
    earlier: tuple[WindowPredictions, ...] = ()
    """What it predicts for the periods before the holdout, where there are any."""

    @property
    def features(self) -> tuple[str, ...]:
        """The columns it reads, as far as they are known."""
        return self.manifest.features if self.manifest else ()


def find_opponents(store: Store, model: str, metric: str) -> list[Contender]:
    """Return the champion, then the best of the last ten champions unless it is the same version.

    Raises:
        RegistryError: when the promotion log cannot be read: that is never "no champion".
        StorageError: when the store refuses or does not answer.
    """
    entries = PromotionLog(store, model)
    champion = entries.champion()
    if champion is None:
        return []
    opponents = [_opponent(store, "champion", champion)]
    best = entries.best_of_last(metric)
    if best is not None and best.version != champion.version:
        opponents.append(_opponent(store, "best", best))
    return opponents


def _opponent(store: Store, role: Role, entry: PromotionEntry) -> Contender:
    serving = Serving(version=entry.version, generation=entry.generation)
    contender = Contender(role, serving, judged=entry.judged)
    try:
        manifest = read_version(store, entry.model, entry.version, digest=entry.version_digest)
    except (ArtifactError, EvidenceError, NotFound) as error:
        return replace(contender, error=str(error))
    return replace(contender, manifest=manifest)


def predict_holdout(
    store: Store,
    opponent: Contender,
    holdout: HoldoutRows,
    *,
    problem: str,
    trusted: Sequence[str],
    shuffler: Shuffler | None = None,
) -> Contender:
    """Return an opponent with its predictions; any obstacle becomes its error.

    Args:
        store: where the versions lie.
        opponent: as found.
        holdout: the rows to predict.
        problem: the kind of label.
        trusted: what may be loaded or run (`Training.trusted`).
        shuffler: asks it about shuffled columns as well; None for no such question.

    Raises:
        StorageError: when the store refuses or does not answer, which says nothing of the version.
    """
    manifest = opponent.manifest
    if manifest is None:
        return opponent
    error = _unfit(manifest, holdout, problem)
    if error is not None:
        return replace(opponent, error=error)
    try:
        estimator = load_estimator(store, manifest, trusted)
    except (ArtifactError, MissingObject) as refused:
        return replace(opponent, error=str(refused))
    kept = read_kept(store, manifest, holdout)
    rows = holdout.frame[list(manifest.features)]
    try:
        with started(estimator) as model:
            predictions = predict(model, rows, problem)
            latency = measure_latency(model, rows)
            shuffled = shuffler(model, rows, predictions, latency) if shuffler else None
            earlier = predict_windows(kept, manifest, holdout, model)
    except TrainingError as failed:  # its command's
        return replace(opponent, error=f"it cannot predict: {failed}")
    except Exception as raised:  # it stays the champion after any error of its code
        if exhausted(raised) is not None:
            raise  # which says nothing of the version
        return replace(opponent, error=f"it cannot predict: {withheld(raised, log)}")
    return replace(
        opponent,
        predictions=predictions,
        latency_ms=latency,
        shuffled=shuffled,
        earlier=earlier,
    )


def _unfit(manifest: VersionManifest, holdout: HoldoutRows, problem: str) -> str | None:
    """Return why a version's scores on these rows would mean nothing, or None."""
    missing = sorted(set(manifest.features) - set(holdout.frame.columns))
    if missing:
        return f"it reads columns that this delivery lacks: {', '.join(missing)}"
    if manifest.problem != problem:
        return f"it was made for a {manifest.problem} problem, this one is {problem}"
    unanswered = _unknown_classes(manifest, holdout)
    if unanswered is not None:
        return unanswered
    oldest, until = holdout.oldest, manifest.split.train_until
    if oldest is not None and until is not None and until >= oldest:
        return (
            f"it was trained on rows up to {until.isoformat()}, and the holdout begins at "
            f"{oldest.isoformat()}: it has seen what it would be scored on"
        )
    guessed = guessed_otherwise(manifest, holdout)
    used = manifest.rows_used
    if guessed is not None or used is None or not _is_same_split(manifest.split, holdout.split):
        return guessed
    keys, rows = pd.Series(holdout.keys), holdout.frame[list(manifest.features)]
    return has_seen(used, keys, rows, holdout.labels)


def _is_same_split(other: SplitUsed, split: SplitUsed) -> bool:
    """Return whether two splits by key put a key on the same side, as far as they say."""
    return split.by == "key" and other == split


def _unknown_classes(manifest: VersionManifest, holdout: HoldoutRows) -> str | None:
    """Return why a version cannot answer for some classes that the challenger can, or None.

    A class that no version was trained on counts against all of them alike.
    """
    if manifest.problem == "regression":
        return None
    values, counts = np.unique(holdout.labels, return_counts=True)
    rows_of = dict(zip(class_names(values), counts, strict=True))
    learnable = set(class_names(np.unique(holdout.train_labels))) & set(rows_of)
    unknown = learnable - set(class_names(manifest.classes or ()))
    if not unknown:
        return None
    rows = sum(int(rows_of[name]) for name in unknown)
    return (
        f"it does not know {len(unknown):,} of the {len(values):,} classes of the holdout's labels "
        f"({rows:,} of {holdout.rows:,} rows): they are new, or written otherwise than when it was "
        "trained"
    )


def measure_latency(estimator: Estimator, rows: pd.DataFrame) -> float:
    """Return the median milliseconds of predicting a batch of 1,000 rows.

    Of a command in format 1, that includes its start.
    A holdout with fewer rows is repeated to make up the batch. It takes about 0.1 s, or three
    predictions where one takes longer.
    """
    batch = rows.iloc[np.resize(np.arange(len(rows)), 1000)]
    took: list[float] = []
    while len(took) < 3 or (sum(took) < 0.1 and len(took) < 20):
        started = time.perf_counter()
        estimator.predict(batch)
        took.append(time.perf_counter() - started)
    return round(float(np.median(took)) * 1000, 3)
