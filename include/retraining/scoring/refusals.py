"""Which inputs were refused: none of them is tried again as it is, however long ago it was."""

from __future__ import annotations

from collections.abc import Iterable

from include.retraining.documents import Document, canonical_json, sha256_of
from include.retraining.store.layout import scored_folder
from include.retraining.store.object_store import Store


class RefusedPartition(Document):
    """A partition whose input cannot be scored until it is delivered again."""

    name: str
    flag: str
    """The identity of the flag that announced it."""
    version: str
    """The version that was to score it."""
    why: str
    """By file, column and rows; never a value."""

    @property
    def digest(self) -> str:
        """SHA-256 of what is not to be tried again: the partition, its flag and the version."""
        return sha256_of(canonical_json([self.name, self.flag, self.version]))


def is_known(store: Store, model: str, refused: RefusedPartition) -> bool:
    """Return whether the same input was refused before, for the same version.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    return store.exists(_key(model, refused))


def keep_refusals(store: Store, model: str, refused: Iterable[RefusedPartition]) -> None:
    """Record what is not to be tried again. Done after the notice, so that none is lost.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    for one in refused:
        store.create(_key(model, one), one.to_bytes())


def _key(model: str, refused: RefusedPartition) -> str:
    return f"{scored_folder(model)}/refused/{refused.name}.{refused.digest[:16]}.json"
