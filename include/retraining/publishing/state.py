"""What is known of each target: which champion it has, and what differs from the promotion log.

A model's state lies in one object, written before something is sent and after it arrived. What the
last pass found of all models lies in another, which only saves requests: without it, the next pass
reads each model's own.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import AwareDatetime, Field

from include.retraining.documents import Document
from include.retraining.exceptions import EvidenceError
from include.retraining.store.layout import PUBLISHED_MODELS, published_key
from include.retraining.store.object_store import Store


class TargetState(Document):
    """One target of a model."""

    place: str
    """Where it is, in words (`Publish.places`)."""
    generation: int = 0
    """The newest entry of the log that it took; 0 of none."""
    version: str | None = None
    since: AwareDatetime | None = None
    """When it took it."""
    receipt: str | None = None
    """What the target calls it: MLflow's number of the version, the SHA-256 of a pointer."""
    is_complete: bool = True
    """False while something is to follow: a model card is made after its promotion."""
    differs: str | None = None
    """What the target has instead, in words, because someone else changed it."""
    differs_since: AwareDatetime | None = None
    is_set_back: bool = False
    """Whether that was set back as soon as it was found."""
    problem: str | None = None
    """Why the last try, or the last comparison, failed."""
    failing_since: AwareDatetime | None = None


class ModelState(Document):
    """All targets of a model."""

    format: int = 1
    model: str
    generation: int = 0
    """The newest entry of the promotion log that was noticed; what has less waits for it."""
    version: str | None = None
    noticed_at: AwareDatetime | None = None
    targets: dict[str, TargetState] = Field(default_factory=dict)
    """By `mlflow`, `pointer` and `webhook`."""
    has_alarms: bool = False
    """Whether alarms may be raised that must be closed once all is well."""

    @property
    def is_settled(self) -> bool:
        """Whether every target has what the log says, as far as is known."""
        return not self.has_alarms and all(
            one.generation == self.generation
            and one.is_complete
            and one.differs is None
            and one.problem is None
            for one in self.targets.values()
        )

    def with_places(self, places: Mapping[str, str]) -> ModelState:
        """Return the state with just the targets that are configured; a new place has nothing."""
        targets = {
            name: known
            if (known := self.targets.get(name)) is not None and known.place == place
            else TargetState(place=place)
            for name, place in places.items()
        }
        return self.model_copy(update={"targets": targets})


class PublishedModels(Document):
    """All published models, as the last pass found them."""

    models: dict[str, ModelState] = Field(default_factory=dict)


def find_state(store: Store, model: str) -> ModelState | None:
    """Return what is known of a model's targets; None when nothing is, or it cannot be read."""
    key = published_key(model)
    data = store.read_if_present(key)
    try:
        return None if data is None else ModelState.from_bytes(data, where=key)
    except EvidenceError:
        return None  # then each target is sent the champion once more


def write_state(store: Store, state: ModelState) -> None:
    """Replace what is known of a model's targets."""
    store.write(published_key(state.model), state.to_bytes())


def read_all(store: Store) -> dict[str, ModelState]:
    """Return what the last pass found of every published model; one request, for the pages too."""
    data = store.read_if_present(PUBLISHED_MODELS)
    try:
        known = None if data is None else PublishedModels.from_bytes(data, where=PUBLISHED_MODELS)
    except EvidenceError:
        known = None  # then each model's own state is read
    return {} if known is None else known.models


def write_all(
    store: Store, before: Mapping[str, ModelState], now: Mapping[str, ModelState]
) -> None:
    """Replace what the last pass found, where it differs."""
    if now != before:
        models = PublishedModels(models=dict(sorted(now.items())))
        store.write(PUBLISHED_MODELS, models.to_bytes())
