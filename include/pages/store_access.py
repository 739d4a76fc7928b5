"""The way from a page to the store: the connection `store`, opened once, read through a memory."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache

from include.orchestration.runtime.store import store_address
from include.pages.store_cache import CachingStore, ObjectCache
from include.retraining.config.model import MODELS_FOLDER, ModelConfig, load_model
from include.retraining.exceptions import RetrainingError, StoreNotInitialised
from include.retraining.history.overview import OverviewCache
from include.retraining.history.savings import Tally
from include.retraining.store.marker import open_store, require_initialised
from include.retraining.store.object_store import Store

PATIENCE = timedelta(seconds=5)
"""A page that says that the store does not answer has to come before the reader gives up."""

OBJECT_CACHE = ObjectCache()
TALLY = Tally()
OVERVIEW_CACHE = OverviewCache()


def open_store_for_page() -> CachingStore:
    """Return the store for one page.

    Raises:
        ConfigError: when the connection is missing or wrong.
        StorageError: when the store does not answer, or was never initialised.
    """
    address = store_address()
    store = _opened(address.uri, tuple(sorted(address.options.items())))
    try:
        require_initialised(store)
    except StoreNotInitialised:
        open_store(address.uri, address.options)  # says it when the folder itself went away
    return CachingStore(store, OBJECT_CACHE)


def config_of(model: str) -> ModelConfig | None:
    """Return a model's YAML beside these pages; None when it is not there, or wrong.

    It may be a little older or newer than what its DAG runs: the pages are of the image, a DAG may
    come from git.
    """
    path = MODELS_FOLDER / f"{model}.yaml"
    try:
        return _parsed(model, path.stat().st_mtime_ns)
    except (RetrainingError, OSError, ValueError):
        return None


@lru_cache(maxsize=4)
def _opened(uri: str, options: tuple[tuple[str, str], ...]) -> Store:
    return Store(uri, dict(options), patience=PATIENCE)


@lru_cache(maxsize=1024)
def _parsed(model: str, written_at: int) -> ModelConfig:  # noqa: ARG001 a changed file is another
    return load_model(model)
