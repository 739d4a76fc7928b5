"""Models that are published, and the champions that targets are given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from include.retraining.config.model import ModelConfig
from include.retraining.config.publish import Publish
from include.retraining.publishing.follow import follow_log
from include.retraining.publishing.publication import Champion, read_champion
from include.retraining.publishing.state import ModelState
from include.retraining.publishing.target import Target
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.object_store import Store
from tests.support.run_factory import CONFIG, MODEL

NOW = datetime(2026, 11, 27, 6, tzinfo=UTC)
POINTER = f"published/{MODEL}.json"


def published(**targets: Any) -> ModelConfig:
    """The toy model with a section `publish`."""
    return CONFIG.model_copy(update={"publish": Publish.model_validate(targets)})


def champion_of(store: Store, generation: int) -> Champion:
    """Return what a target is given of one entry of the toy model's log."""
    return read_champion(store, CONFIG.title, PromotionLog(store, MODEL).entry(generation))


def follow(
    store: Store,
    config: ModelConfig,
    targets: dict[str, Target],
    known: ModelState | None = None,
    *,
    now: datetime = NOW,
) -> ModelState:
    """Do as one pass does with the toy model."""
    return follow_log(store, config, targets, known, now=now)
