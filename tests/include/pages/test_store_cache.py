"""A store that is looked at again and again, and read only where it changed."""

from __future__ import annotations

import pytest

from include.pages.store_cache import CachingStore, ObjectCache
from include.retraining.exceptions import MissingObject
from include.retraining.store.object_store import Store


def reads_of(store: Store, memory: ObjectCache, *keys: str, listing: str = "a") -> int:
    """How many objects one look reads from the store itself."""
    read: list[str] = []
    look = CachingStore(store, memory)
    look._objects = Watching(look._objects, read)  # type: ignore[assignment]
    look.children(listing)
    for key in keys:
        look.read(key)
    return len(read)


class Watching:
    """obstore's object, noting each get."""

    def __init__(self, objects: object, read: list[str]) -> None:
        self._inner, self._read = objects, read

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def get(self, key: str) -> object:
        """Note a key and read it."""
        self._read.append(key)
        return self._inner.get(key)  # type: ignore[attr-defined]


def test_what_did_not_change_is_read_once(any_store: Store) -> None:
    """The second look reads nothing, and an object that was replaced is read anew."""
    memory = ObjectCache()
    any_store.write("a/1", b"one")
    any_store.write("a/2", b"two")
    assert reads_of(any_store, memory, "a/1", "a/2") == 2
    assert reads_of(any_store, memory, "a/1", "a/2") == 0
    any_store.write("a/1", b"another")
    look = CachingStore(any_store, memory)
    look.children("a")
    assert look.read("a/1") == b"another"


def test_what_a_listing_does_not_name_is_not_there(any_store: Store) -> None:
    """It costs no request, also where an object came to be since the listing."""
    any_store.write("a/1", b"one")
    look = CachingStore(any_store, ObjectCache())
    look.children("a")
    any_store.write("a/2", b"two")
    assert look.read_if_present("a/2") is None
    with pytest.raises(MissingObject, match="there is no such object"):
        look.read("a/2")
    assert look.read_if_present("b/1") is None
    any_store.write("b/1", b"b")
    assert look.read("b/1") == b"b"  # its folder was not listed


def test_two_stores_share_a_memory_and_no_object(tmp_path, folder_store: Store) -> None:
    """The same key in another place is another object."""
    memory = ObjectCache()
    (tmp_path / "other").mkdir()
    other = Store((tmp_path / "other").as_uri())
    for store, data in ((folder_store, b"one"), (other, b"two")):
        store.write("a/1", data)
        look = CachingStore(store, memory)
        look.children("a")
        assert look.read("a/1") == data


def test_a_memory_forgets_what_was_not_used_for_longest(folder_store: Store) -> None:
    """It holds no more bytes than it may."""
    memory = ObjectCache(limit_bytes=10)
    for name in "123":
        folder_store.write(f"a/{name}", b"four")
    assert reads_of(folder_store, memory, "a/1", "a/2", "a/1", "a/3") == 3
    assert reads_of(folder_store, memory, "a/1", "a/3") == 0
    assert reads_of(folder_store, memory, "a/2") == 1


def test_an_object_larger_than_the_cache_drops_no_other(folder_store: Store) -> None:
    """It is read each time, and what was kept before stays."""
    memory = ObjectCache(limit_bytes=10)
    folder_store.write("a/1", b"four")
    folder_store.write("a/2", b"more than ten bytes")
    assert reads_of(folder_store, memory, "a/1", "a/2") == 2
    assert reads_of(folder_store, memory, "a/1", "a/2") == 1
