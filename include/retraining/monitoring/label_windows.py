"""Which predictions are to be graded now: old enough, and their labels have been delivered.

A window is a partition of the scores, for each version that scored it. It is graded once, when its
labels are known by `labels.delay`, and reviewed once, `REVIEW_DAYS` later, by what came late or was
corrected since. Only listings, flags and manifests are read here, never a row.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from include.retraining.config.labels import FILES, Labels
from include.retraining.config.model import ModelConfig
from include.retraining.data.delivery import inspect_delivery
from include.retraining.data.delivery_place import dated, flag_place
from include.retraining.exceptions import ConfigError, DeliveryError
from include.retraining.scoring.partitions import scoring_of
from include.retraining.scoring.scores import Scores, ScoresFolder
from include.retraining.store.layout import grade_key, grades_folder, review_key
from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)

ARRIVAL_DAYS = 7
"""How long a window waits for the delivery of labels that is due; then it is graded without."""
REVIEW_DAYS = 14
"""How long after its labels were due a window is reviewed. So long it may be graded late, too."""


@dataclass(frozen=True)
class Window:
    """One version's predictions for one partition, to be graded or reviewed."""

    day: date
    scores: Scores
    """The newest of that version for the partition."""
    folder: ScoresFolder
    due: date
    """The day on which the labels are known."""
    is_review: bool

    @property
    def name(self) -> str:
        """The window's name: the partition's."""
        return self.day.isoformat()

    @property
    def key(self) -> str:
        """Where its grade lies, or its review."""
        model, version = self.scores.model, self.scores.version
        if self.is_review:
            return review_key(model, self.name, version)
        return grade_key(model, "labels", self.name, version)

    def __str__(self) -> str:
        what = "a review of " if self.is_review else ""
        return f"{what}{self.name} by version {self.scores.version}"


def labels_of(config: ModelConfig) -> Labels:
    """Return a model's section `labels`.

    Raises:
        ConfigError: when it has none.
    """
    if config.labels is None:
        raise ConfigError(f"include/models/{config.name}.yaml: labels: is missing")
    return config.labels


def labels_view(config: ModelConfig) -> ModelConfig:
    """Return a model's configuration with its labels in the place of its deliveries."""
    labels = labels_of(config)
    data = {"location": labels.location, "files": FILES}
    return config.model_copy(
        update={
            "trigger": config.trigger.model_copy(update={"flag": labels.flag_file}),
            "data": config.data.model_copy(update=data),
        }
    )


def windows_due(store: Store, config: ModelConfig, today: date) -> list[Window]:
    """Return the windows that are to be graded or reviewed, the newest first.

    None where the model follows no labels. A listing for each of `2 * REVIEW_DAYS` days, and their
    manifests, are read; flags of labels only for a window that is to be graded.

    Args:
        store: where relative addresses start.
        config: the model's.
        today: in the model's time zone.

    Raises:
        EvidenceError: when a manifest of scores cannot be parsed.
        StorageError: when the store refuses or does not answer.
    """
    if config.labels is None:
        return []
    folder = grades_folder(config.name, "labels")
    written = {
        info.key for place in (folder, f"{folder}/reviews") for info in store.children(place)[1]
    }
    return [
        window
        for window in _windows(store, config, today)
        if window.key not in written and _is_ready(store, config, window, today, written)
    ]


def _windows(store: Store, config: ModelConfig, today: date) -> Iterator[Window]:
    """Yield the windows of the days that are graded and reviewed now, whether done or not."""
    newest = today - labels_of(config).delay_time
    output = scoring_of(config).output
    for back in range(2 * REVIEW_DAYS):
        day = newest - timedelta(days=back)
        folder = ScoresFolder.at(store, dated(output, day))
        for scores in _newest_by_version(folder):
            yield Window(
                day=day,
                scores=scores,
                folder=folder,
                due=day + labels_of(config).delay_time,
                is_review=back >= REVIEW_DAYS,
            )


def _newest_by_version(folder: ScoresFolder) -> Iterator[Scores]:
    """Yield the newest scores of each version: what it predicted before was of another input."""
    seen: set[str] = set()
    for number in reversed(folder.numbers()):
        scores = folder.read(number)
        if scores.version not in seen:
            seen.add(scores.version)
            yield scores


def _is_ready(
    store: Store, config: ModelConfig, window: Window, today: date, written: set[str]
) -> bool:
    """Return whether a window can be reviewed, or its labels are there or overdue."""
    if window.is_review:
        return grade_key(config.name, "labels", window.name, window.scores.version) in written
    if today > window.due + timedelta(days=ARRIVAL_DAYS):
        return True
    if not labels_of(config).is_dated:
        return _was_replaced_since(store, config, window.due, today)
    days = range((today - window.due).days + 1)
    return any(_is_delivered(store, config, window.due + timedelta(days=one)) for one in days)


def _is_delivered(store: Store, config: ModelConfig, day: date) -> bool:
    """Return whether the labels of a day are there, whether they can be accepted or not."""
    try:
        state = inspect_delivery(store, labels_view(config), day, consumed=None)
    except DeliveryError as error:
        log.warning("labels of %s: %s", day, error)
        return True  # the grade says why it cannot be judged
    return state.is_complete


def _was_replaced_since(store: Store, config: ModelConfig, due: date, today: date) -> bool:
    """Return whether the one delivery of all labels was written on a day or later."""
    if not _is_delivered(store, config, today):
        return False
    place, name = flag_place(store, labels_view(config), today)
    return place.store.head(place.key(name)).last_modified.date() >= due
