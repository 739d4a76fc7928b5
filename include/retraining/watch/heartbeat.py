"""The heartbeat that the watch writes after each check, for the external watchdog."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import AwareDatetime

from include.retraining.documents import Document
from include.retraining.store.layout import LAST_WATCH
from include.retraining.store.object_store import Store


class Heartbeat(Document):
    """The last check of the watch."""

    at: AwareDatetime
    failed: tuple[str, ...]
    """Its tasks that did not succeed."""


def write_heartbeat(store: Store, failed: Sequence[str]) -> None:
    """Record that the watch has checked, and which of its tasks did not succeed."""
    store.write(LAST_WATCH, Heartbeat(at=datetime.now(UTC), failed=tuple(failed)).to_bytes())


def last_heartbeat(store: Store) -> Heartbeat | None:
    """Return the last heartbeat, None when there was none.

    Raises:
        EvidenceError: when it cannot be read.
    """
    data = store.read_if_present(LAST_WATCH)
    return None if data is None else Heartbeat.from_bytes(data, where=LAST_WATCH)
