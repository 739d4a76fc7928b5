"""The pointer: a JSON file that names the champion, replaced as a whole with each new one."""

from __future__ import annotations

from include.retraining.documents import sha256_of
from include.retraining.exceptions import EvidenceError, NotPublished
from include.retraining.publishing.publication import Champion, Publication
from include.retraining.publishing.state import TargetState
from include.retraining.publishing.target import Receipt, require_not_newer
from include.retraining.store.object_store import Store

MAX_TRIES = 3
"""How often a file is replaced that someone else replaces at the same moment."""


class PointerFile:
    """One pointer."""

    def __init__(self, store: Store, key: str, *, sets_back: bool) -> None:
        """Describe it.

        Args:
            store: the place, which may be another than that of the models.
            key: the file.
            sets_back: whether a file that someone else changed is set back.
        """
        self._store = store
        self._key = key
        self._address = f"{store.uri}/{key}"
        self.sets_back = sets_back

    def publish(self, champion: Champion, *, is_ours: bool) -> Receipt:
        """Put the file, last: once the files that it names are what their manifest says."""
        champion.verify()
        data = champion.publication.to_bytes()
        for _ in range(MAX_TRIES):
            seen = self._store.read_to_replace(self._key)
            if seen is None:
                is_put = self._store.create(self._key, data)
            elif seen[0] == data:
                is_put = True
            else:
                self._require_replaceable(seen[0], champion, is_ours=is_ours)
                is_put = self._store.replace(self._key, data, seen[1])
            if is_put:
                return Receipt(sha256_of(data))
        raise NotPublished(f"{self._address}: someone else replaces it again and again")

    def difference(self, state: TargetState) -> str | None:
        """Compare the file's bytes with those that were put."""
        data = self._store.read_if_present(self._key)
        if data is None:
            return f"{self._address} is gone"
        if sha256_of(data) == state.receipt:
            return None
        theirs = _parsed(data)
        if theirs is None:
            return f"{self._address} is no pointer any more"
        return (
            f"{self._address} was changed: it names version {theirs.version} "
            f"(generation {theirs.generation}) of {theirs.model}"
        )

    def _require_replaceable(self, data: bytes, champion: Champion, *, is_ours: bool) -> None:
        theirs = _parsed(data)
        if theirs is None:
            if is_ours:
                return
            raise NotPublished(
                f"{self._address} is there and is no pointer: remove it, or give another address"
            )
        if (theirs.model, theirs.store) != (champion.entry.model, champion.store.uri):
            raise NotPublished(
                f"{self._address} is the pointer of {theirs.model} in {theirs.store}: give another "
                "address, or remove it if that one is given up"
            )
        require_not_newer(theirs.generation, champion, self._address)


def _parsed(data: bytes) -> Publication | None:
    try:
        return Publication.from_bytes(data, where="the pointer")
    except EvidenceError:
        return None
