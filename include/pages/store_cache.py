"""A store that is read for each page, and only where it changed since the last one.

What a page shows is thousands of small objects, nearly all of which were there a minute ago. A
listing says of each which one it is (ETag, size, time), and costs one request for a folder.
"""

from __future__ import annotations

import threading
from contextlib import suppress

from cachetools import LRUCache

from include.retraining.exceptions import MissingObject
from include.retraining.store.object_store import ObjectInfo, Store

MEMORY_BYTES = 64 * 2**20


class ObjectCache:
    """Objects that were read before, the longest unused dropped first. Threads may share it."""

    def __init__(self, limit_bytes: int = MEMORY_BYTES) -> None:
        """Keep at most so many bytes."""
        self._objects: LRUCache[tuple[str, ObjectInfo], bytes] = LRUCache(limit_bytes, len)
        self._lock = threading.Lock()

    def find(self, uri: str, info: ObjectInfo) -> bytes | None:
        """Return the bytes of the very object that a listing names, or None."""
        with self._lock:
            return self._objects.get((uri, info))

    def keep(self, uri: str, info: ObjectInfo, data: bytes) -> None:
        """Keep an object's bytes, where they fit."""
        if len(data) != info.size:
            return  # it was replaced between the listing and the read
        with self._lock, suppress(ValueError):  # one that is larger than the whole cache
            self._objects[uri, info] = data


class CachingStore(Store):
    """A store for one look: what it has listed it knows, and reads only what is not remembered."""

    def __init__(self, store: Store, memory: ObjectCache) -> None:
        """Look through an open store; ``memory`` outlives the look."""
        # Its client is shared too: another one would mean another handshake for each page.
        vars(self).update(vars(store))
        self._memory = memory
        self._listed: dict[str, ObjectInfo] = {}
        self._objects_in: dict[str, list[ObjectInfo]] = {}
        self._parts: dict[tuple[str, str | None, str | None], list[ObjectInfo]] = {}
        self._children_of: dict[str, tuple[list[str], list[ObjectInfo]]] = {}

    def objects(self, prefix: str = "", *, after: str | None = None) -> list[ObjectInfo]:
        """Return every object below a folder, listed once for the look."""
        if after is not None:
            return super().objects(prefix, after=after)
        folder = prefix.rstrip("/")
        if folder not in self._objects_in:
            self._objects_in[folder] = super().objects(prefix)
            self._listed.update((info.key, info) for info in self._objects_in[folder])
        return self._objects_in[folder]

    def between(
        self, folder: str, *, after: str | None = None, before: str | None = None
    ) -> list[ObjectInfo]:
        """Return a part of a folder, listed once for the look."""
        part = (folder, after, before)
        if part not in self._parts:
            self._parts[part] = super().between(folder, after=after, before=before)
            self._listed.update((info.key, info) for info in self._parts[part])
        return self._parts[part]

    def _is_in_a_part(self, key: str, folder: str) -> bool:
        """Return whether a part of its folder was listed in which a key would be."""
        return any(
            listed == folder and (after is None or key > after) and (before is None or key < before)
            for listed, after, before in self._parts
        )

    def children(self, prefix: str = "") -> tuple[list[str], list[ObjectInfo]]:
        """Return what is directly in a folder, listed once for the look."""
        folder = prefix.rstrip("/")
        if folder not in self._children_of:
            self._children_of[folder] = super().children(prefix)
            self._listed.update((info.key, info) for info in self._children_of[folder][1])
        return self._children_of[folder]

    def read(self, key: str) -> bytes:
        """Return an object's bytes; one that its folder's listing does not name is not there."""
        info = self._listed.get(key)
        if info is None:
            folder = key.rpartition("/")[0]
            is_listed = folder in self._objects_in or folder in self._children_of
            if is_listed or self._is_in_a_part(key, folder):
                raise MissingObject(f"{self.uri}/{key}: there is no such object")
            return super().read(key)
        data = self._memory.find(self.uri, info)
        if data is None:
            data = super().read(key)
            self._memory.keep(self.uri, info, data)
        return data
