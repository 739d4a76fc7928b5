"""The mark of a version that is being removed: what is marked is not promoted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.retraining.documents import Document
from include.retraining.exceptions import InfrastructureError
from include.retraining.store.layout import removal_key
from include.retraining.store.object_store import Store

MARK_HOLDS = timedelta(hours=1)
"""An older mark is one of a removal that was killed, and means nothing any more."""


class RemovalMark(Document):
    """A version is being removed."""

    format: int = 1
    at: datetime


def mark_for_removal(store: Store, model: str, version: str) -> None:
    """Say that a version is being removed, before its files go."""
    store.write(removal_key(model, version), RemovalMark(at=datetime.now(UTC)).to_bytes())


def refuse_marked(store: Store, model: str, version: str) -> None:
    """Refuse a version that is being removed.

    Raises:
        InfrastructureError: saying that another try finds it gone, or not.
        EvidenceError: when the mark is unreadable.
    """
    key = removal_key(model, version)
    data = store.read_if_present(key)
    if data is None:
        return
    if datetime.now(UTC) - RemovalMark.from_bytes(data, where=key).at < MARK_HOLDS:
        raise InfrastructureError(
            f"{model}: version {version} is being removed by `gc`; try again in a minute: either "
            "it stays, or it is trained again"
        )
