"""A store that counts its requests as a bucket would be asked them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

from include.retraining.store.object_store import ObjectInfo, Store

PAGE = 1000
"""How many keys S3 lists in one answer."""


class CountingStore(Store):
    """A store that counts its requests, for several threads at once."""

    def __init__(self, uri: str, options: Mapping[str, str] | None = None) -> None:
        """Open it and start at zero."""
        super().__init__(uri, options)
        self.counts: Counter[str] = Counter()
        self._counting = threading.Lock()

    @property
    def total(self) -> int:
        """All requests since they were cleared."""
        return sum(self.counts.values())

    def _count(self, what: str, number: int = 1) -> None:
        with self._counting:
            self.counts[what] += number

    def read(self, key: str) -> bytes:
        """Count a GET."""
        self._count("GET")
        return super().read(key)

    def head(self, key: str) -> ObjectInfo:
        """Count a HEAD."""
        self._count("HEAD")
        return super().head(key)

    def write(self, key: str, data: bytes) -> None:
        """Count a PUT."""
        self._count("PUT")
        super().write(key, data)

    def create(self, key: str, data: bytes) -> bool:
        """Count a PUT."""
        self._count("PUT")
        return super().create(key, data)

    def delete(self, key: str) -> None:
        """Count a DELETE."""
        self._count("DELETE")
        super().delete(key)

    def objects(self, prefix: str = "", *, after: str | None = None) -> list[ObjectInfo]:
        """Count the pages of a listing."""
        found = super().objects(prefix, after=after)
        self._count("LIST", max(1, -(-len(found) // PAGE)))
        return found

    def between(
        self, folder: str, *, after: str | None = None, before: str | None = None
    ) -> list[ObjectInfo]:
        """Count the pages of a listing."""
        found = super().between(folder, after=after, before=before)
        self._count("LIST", max(1, -(-len(found) // PAGE)))
        return found

    def children(self, prefix: str = "") -> tuple[list[str], list[ObjectInfo]]:
        """Count the pages of a listing."""
        folders, found = super().children(prefix)
        self._count("LIST", max(1, -(-(len(folders) + len(found)) // PAGE)))
        return folders, found
