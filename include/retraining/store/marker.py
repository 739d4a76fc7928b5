"""The marker that distinguishes a store from an empty or wrong place."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from include.retraining.documents import Document
from include.retraining.exceptions import (
    EvidenceError,
    MissingFolder,
    MissingObject,
    StorageError,
    StoreNotInitialised,
)
from include.retraining.store import layout
from include.retraining.store.object_store import Store

_INIT = "python -m include.retraining init"


class StoreMarker(Document):
    """Says that a place was meant to be a store."""

    format: int = 1
    store_id: str
    created_at: datetime


def initialise(uri: str, options: Mapping[str, str] | None = None) -> Store:
    """Make a place a store, unless it is one.

    Args:
        uri: its address; a folder is created, a bucket must exist.
        options: obstore's settings; None takes those of the environment.
    """
    parts = urlsplit(uri)
    if parts.scheme == "file" and not parts.netloc:
        try:
            Path(unquote(parts.path)).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{uri}: the folder cannot be made: {error.strerror}") from error
    store = _open(uri, options)
    marker = StoreMarker(store_id=uuid.uuid4().hex, created_at=datetime.now(UTC))
    if not store.create(layout.STORE_MARKER, marker.to_bytes()):
        require_initialised(store)
    return store


def open_store(uri: str | None = None, options: Mapping[str, str] | None = None) -> Store:
    """Open a store that was initialised.

    Args:
        uri: its address; None takes the environment's.
        options: obstore's settings; None takes those of the environment.

    Raises:
        StoreNotInitialised: when there is no such place, or no readable marker in it.
        StorageError: when the store refuses or does not answer.
    """
    try:
        store = _open(uri, options)
    except MissingFolder as error:
        raise MissingFolder(f"{error}; only for a first store: `{_INIT}`") from error
    require_initialised(store)
    return store


def _open(uri: str | None, options: Mapping[str, str] | None) -> Store:
    if uri is None or options is None:
        return Store.from_environment(uri)
    return Store(uri, options)


def require_initialised(store: Store) -> None:
    """Refuse a place that was never initialised: empty, it is a wrong address, not a new model.

    Raises:
        StoreNotInitialised: when there is no readable marker.
    """
    hint = f"check the address, or run `{_INIT}`"
    try:
        StoreMarker.from_bytes(store.read(layout.STORE_MARKER), where=layout.STORE_MARKER)
    except MissingObject as error:
        text = f"{store.uri} is not a store, there is no {layout.STORE_MARKER} in it: {hint}"
        raise StoreNotInitialised(text) from error
    except EvidenceError as error:
        raise StoreNotInitialised(f"{store.uri} is not a readable store: {error}") from error
