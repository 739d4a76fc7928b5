"""The profile of a version: how the rows that it was trained on are spread, column by column."""

from __future__ import annotations

from datetime import datetime

from include.retraining.documents import Document
from include.retraining.exceptions import NotFound
from include.retraining.monitoring.column_profile import ColumnProfile
from include.retraining.store.layout import profile_key
from include.retraining.store.object_store import Store


class Profile(Document):
    """How the training rows of a version are spread. Put if absent."""

    format: int = 1
    model: str
    version: str
    run_id: str
    """The run that pinned the delivery which it was made from."""
    created_at: datetime
    rows: int
    """The training rows."""
    columns: dict[str, ColumnProfile]
    """By name; columns of times are left out."""


def write_profile(store: Store, profile: Profile) -> None:
    """Write a profile, unless its version has one: the same version has the same rows.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    store.create(profile_key(profile.model, profile.version), profile.to_bytes())


def read_profile(store: Store, model: str, version: str) -> Profile:
    """Return the profile of a version.

    Raises:
        NotFound: when it has none, as a version of before profiles were kept.
        EvidenceError: when it cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    key = profile_key(model, version)
    data = store.read_if_present(key)
    if data is None:
        raise NotFound(
            f"version {version} has no profile of its training rows: it was trained before there "
            "were any, or its run could not make one; the next version that is promoted has one"
        )
    return Profile.from_bytes(data, where=key)
