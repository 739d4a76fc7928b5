"""A version that was verified and loaded, and what it predicts."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import pandas as pd

from include.retraining.config.command_protocol import PREDICTION, PROBABILITY
from include.retraining.config.model import load_model
from include.retraining.data.labels import Class
from include.retraining.documents import sha256_of
from include.retraining.exceptions import MissingObject, NotFound, TrainingError
from include.retraining.plain_files import SAFE_NAME
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.registry.versions import VersionManifest, load_estimator, read_version
from include.retraining.runs.exhaustion import exhausted
from include.retraining.runs.foreign_errors import kind_and_place
from include.retraining.serving.columns import checked_features
from include.retraining.serving.forked import require_usable_stores
from include.retraining.store.layout import version_manifest_key
from include.retraining.store.marker import open_store
from include.retraining.store.object_store import Store
from include.retraining.training.estimator import Estimator
from include.retraining.training.prediction_checks import check_predictions
from include.retraining.training.predictions import Predictions, predict

log = logging.getLogger(__name__)

IN_THE_LOG = "its text is in this process's log only, as it may hold values of the rows"
SCORE = "score"
"""What `decision_function` gives, for a classifier of two classes without probabilities."""


@dataclass(frozen=True)
class LoadedVersion:
    """One version of a model, whose files were verified before it was loaded.

    It never changes, and may be used by several threads at once: a request that keeps it is
    answered by one version, whatever is promoted meanwhile.
    """

    manifest: VersionManifest
    digest: str
    """The SHA-256 of the version's manifest, which names those of its files."""
    model: Estimator
    generation: int | None
    """Of the promotion log's entry by which it serves, or last served; None when it never did."""
    checked_at: datetime
    """When the promotion log said so."""
    stale_because: str | None = None
    """Why the log, or the champion it names, could not be read since then; None when it could."""

    @property
    def version(self) -> str:
        """The version's name."""
        return self.manifest.version

    @property
    def features(self) -> tuple[str, ...]:
        """The columns it reads, in order."""
        return self.manifest.features

    @property
    def classes(self) -> tuple[Class, ...] | None:
        """For a classifier, its classes in the order of its probabilities."""
        return self.manifest.classes

    @cached_property
    def where(self) -> str:
        """What errors call it."""
        return f"{self.manifest.model} version {self.version}"

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return what it predicts for some rows.

        Args:
            frame: the rows, with the columns that the version reads; others do no harm.

        Returns:
            A frame with the same index: `prediction`; for a classifier that gives them,
            `probability_CLASS` for each of its classes, or `score`.

        Raises:
            DataRejected: when a column is missing, of another type or holds infinite numbers, or
                there are no rows.
            TrainingError: when the model's own code or command fails, or predicts what is none.
        """
        rows = checked_features(frame, self.manifest)
        predictions = self._predictions(rows)
        check_predictions(predictions, where=self.where, classes=self.classes)
        columns = {PREDICTION: predictions.values}
        if predictions.probabilities is not None:
            for number, name in enumerate(predictions.classes or ()):
                columns[f"{PROBABILITY}_{name}"] = predictions.probabilities[:, number]
        if predictions.scores is not None:
            columns[SCORE] = predictions.scores
        return pd.DataFrame(columns, index=frame.index)

    def _predictions(self, rows: pd.DataFrame) -> Predictions:
        try:
            return predict(self.model, rows, self.manifest.problem)
        except TrainingError as error:  # its command's
            raise TrainingError(f"{self.where}: {error}") from error
        except Exception as error:  # any error of the model's code means that it does not predict
            if exhausted(error) is not None:
                raise  # which says nothing of the version
            log.exception("%s, in full: %s", self.where, type(error).__name__)
            hint = _missing_cells(rows)
            raise TrainingError(
                f"{self.where}: it cannot predict these rows{hint}: {kind_and_place(error)}; "
                f"{IN_THE_LOG}"
            ) from error


def load_version(
    store: Store | str | None,
    name: str,
    version: str,
    *,
    trusted: Collection[str] | None = None,
) -> LoadedVersion:
    """Verify and load a given version of a model, whether or not it ever served.

    Args:
        store: the store or its address; None takes the environment's (`RETRAINING_STORE`).
        name: the model's.
        version: the version's.
        trusted: what may be loaded or run; None takes what the model's YAML reviewed
            (`training.trusted_types`, `allow_commands`).

    Raises:
        NotFound: when there is no such version.
        ArtifactError: when its files are not what its manifest says, when another scikit-learn made
            them, when they hold an unreviewed type, or a command that may not be run.
        RegistryError: when the promotion log cannot be read.
        InfrastructureError: in a process that was forked from one that had loaded a version.
        StorageError: when the store refuses or does not answer.
    """
    require_usable_stores()
    opened = store if isinstance(store, Store) else open_store(store)
    if not re.fullmatch(SAFE_NAME, version):
        raise NotFound(f"{name}: {version!r} is not the name of a version")
    try:
        return load_served(opened, PromotionLog(opened, name).served(version), trusted)
    except NotFound:
        pass  # it never served, or there is none
    try:
        digest = sha256_of(opened.read(version_manifest_key(name, version)))
    except MissingObject as error:
        raise NotFound(f"{name}: there is no version {version!r} in {opened.uri}") from error
    return _load(opened, name, version, digest, trusted, generation=None)


def load_served(
    store: Store, entry: PromotionEntry, trusted: Collection[str] | None
) -> LoadedVersion:
    """Verify and load the version that an entry of the promotion log names.

    Raises:
        Error: as `load_version`.
    """
    digest, generation = entry.version_digest, entry.generation
    return _load(store, entry.model, entry.version, digest, trusted, generation=generation)


def _load(
    store: Store,
    name: str,
    version: str,
    digest: str,
    trusted: Collection[str] | None,
    *,
    generation: int | None,
) -> LoadedVersion:
    checked_at = datetime.now(UTC)
    if trusted is None:
        trusted = load_model(name).training.trusted
    manifest = read_version(store, name, version, digest=digest)
    return LoadedVersion(
        manifest=manifest,
        digest=digest,
        model=load_estimator(store, manifest, trusted),
        generation=generation,
        checked_at=checked_at,
    )


def _missing_cells(rows: pd.DataFrame) -> str:
    """Return in which columns cells are missing, as a part of a sentence."""
    counts = rows.isna().sum()
    parts = [f"{count:,} missing in {name!r}" for name, count in counts.items() if count]
    return f" (cells: {', '.join(parts[:5])})" if parts else ""
