"""The only door to storage: `file://`, `s3://`, `gs://` and `az://` through obstore."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import LocalStore, from_url
from pydantic import TypeAdapter, ValidationError

from include.retraining.exceptions import ConfigError, MissingFolder, MissingObject, StorageError
from include.retraining.store.names_between import names_between
from include.retraining.store.storage_errors import explained

if TYPE_CHECKING:
    from obstore.store import ObjectStore

CHUNK_BYTES = 8 * 2**20
PATIENCE = timedelta(seconds=60)
OPTIONS_VARIABLE = "RETRAINING_STORE_OPTIONS"
_OPTIONS = TypeAdapter(dict[str, str])
URI_VARIABLE = "RETRAINING_STORE"


@dataclass(frozen=True)
class ObjectInfo:
    """What a listing says of one object."""

    key: str
    size: int
    last_modified: datetime
    etag: str | None
    object_version: str | None = None
    """Where the bucket keeps versions; a listing does not say it."""


class Store:
    """A place for objects under one URI.

    Keys are relative, with `/` between their parts. Every method raises `StorageError` when the
    store refuses or does not answer, and `MissingObject` where a key must exist and does not.
    """

    def __init__(
        self,
        uri: str,
        options: Mapping[str, str] | None = None,
        *,
        patience: timedelta = PATIENCE,
    ) -> None:
        """Open the place named by ``uri``.

        Args:
            uri: `file:///folder`, `s3://bucket/prefix`, `gs://…` or `az://…`.
            options: obstore's settings by their environment names (`AWS_REGION`, …); what is
                not given is taken from the environment. Values are secrets and never shown.
            patience: how long to retry a bucket that does not answer; shorter where someone waits.
        """
        self.uri = uri.rstrip("/")
        self.options = dict(options or {})
        parts = urlsplit(self.uri)
        is_bucket = parts.scheme in {"s3", "gs", "az"} and parts.netloc
        if parts.scheme != "file" and not is_bucket:
            raise ConfigError(
                f"store {uri!r}: allowed are file:///…, s3://…, gs://… and az://… addresses"
            )
        self._root = Path(unquote(parts.path)) if parts.scheme == "file" else None
        self._objects: ObjectStore
        with self._explained(""):
            if self._root is not None:
                if not self._root.is_absolute() or parts.netloc:
                    raise ConfigError(f"store {uri!r}: a folder is named as file:///absolute/path")
                self._objects = LocalStore(self._root) if self._root.is_dir() else _no_folder(uri)
            else:
                config: dict[str, Any] = {
                    name.lower(): value
                    for name, value in self.options.items()
                    if name != "AWS_ALLOW_HTTP"
                }
                insecure = self.options.get("AWS_ALLOW_HTTP", os.environ.get("AWS_ALLOW_HTTP"))
                self._objects = from_url(  # type: ignore[call-overload]
                    self.uri,
                    config=config or None,
                    client_options={"allow_http": insecure == "true", "timeout": patience},
                    retry_config={"max_retries": 6, "retry_timeout": patience},
                )

    def __repr__(self) -> str:
        return f"Store({self.uri!r})"

    @classmethod
    def from_environment(cls, uri: str | None = None) -> Store:
        """Open ``uri``, or the store that the environment names, with the environment's options.

        Raises:
            ConfigError: when neither names a store.
        """
        uri = uri or os.environ.get(URI_VARIABLE)
        if not uri:
            raise ConfigError(
                f"no store: give --store URI or set {URI_VARIABLE}, for example "
                f"{URI_VARIABLE}=file:///data/store or s3://bucket/prefix"
            )
        try:
            options = _OPTIONS.validate_json(os.environ.get(OPTIONS_VARIABLE, "{}"))
        except ValidationError:  # its text would show the values
            raise ConfigError(
                f"{OPTIONS_VARIABLE} must be a JSON object of texts, for example "
                '{"AWS_REGION": "eu-west-3"}'
            ) from None
        return cls(uri, options)

    def sibling(self, uri: str) -> Store:
        """Open another place with this store's options."""
        return Store(uri, self.options)

    def _explained(self, key: str) -> AbstractContextManager[None]:
        return explained(self.uri, key)

    def read(self, key: str) -> bytes:
        """Return an object's bytes."""
        with self._explained(key):
            return bytes(self._objects.get(key).bytes())

    def read_if_present(self, key: str) -> bytes | None:
        """Return an object's bytes, or None when the store says that there is none."""
        try:
            return self.read(key)
        except MissingObject:
            return None

    def stream(self, key: str) -> Iterator[bytes]:
        """Yield an object's bytes in chunks of about 8 MiB."""
        with self._explained(key):
            for chunk in self._objects.get(key).stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)

    def download(self, key: str, target: Path) -> None:
        """Write an object to a local file, in chunks."""
        with target.open("wb") as file:
            for chunk in self.stream(key):
                file.write(chunk)

    def digest(self, key: str) -> tuple[int, str]:
        """Return an object's size in bytes and its SHA-256 in hex, reading it in chunks."""
        path = self.local_path(key)
        if path is not None:
            with self._explained(key), path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256")
                return file.tell(), digest.hexdigest()
        size, sha256 = 0, hashlib.sha256()
        for chunk in self.stream(key):
            size += len(chunk)
            sha256.update(chunk)
        return size, sha256.hexdigest()

    def write(self, key: str, data: bytes) -> None:
        """Put an object, replacing what was there. Only for what may be replaced."""
        with self._explained(key):
            self._objects.put(key, data)

    def create(self, key: str, data: bytes) -> bool:
        """Put an object only if there is none under that key.

        A lost response is settled by reading back: what holds our very bytes is ours. On a folder
        the object and its directory entry are on disk when this returns.

        Returns:
            True when the object holds ``data`` by this call, False when another was there first.
        """
        with self._explained(key):
            try:
                self._objects.put(key, data, mode="create", use_multipart=False)
            except AlreadyExistsError:
                if self._read_rival(key) != data:
                    return False
            self._sync(key)
        return True

    def read_to_replace(self, key: str) -> tuple[bytes, ObjectInfo] | None:
        """Return an object's bytes and what `replace` is given with it, or None without one."""
        try:
            with self._explained(key):
                result = self._objects.get(key)
                return bytes(result.bytes()), _info(result.meta)
        except MissingObject:
            return None

    def replace(self, key: str, data: bytes, seen: ObjectInfo) -> bool:
        """Put an object only if what lies there is still what was seen.

        Returns:
            False when it was changed or removed meanwhile.
        """
        path = self.local_path(key)
        with self._explained(key):
            if path is None:
                known = {"e_tag": seen.etag, "version": seen.object_version}
                mode: Any = {name: value for name, value in known.items() if value is not None}
                try:
                    self._objects.put(key, data, mode=mode, use_multipart=False)
                except (PreconditionError, FileNotFoundError):
                    return False
                return True
            with _locked(path.parent):
                try:
                    if _info(self._objects.head(key)).etag != seen.etag:
                        return False
                except FileNotFoundError:
                    return False
                self._objects.put(key, data)
            self._sync(key)
        return True

    def _read_rival(self, key: str) -> bytes:
        """Return what another writer put, or say that it is still putting it (S3's 409)."""
        try:
            return self.read(key)
        except MissingObject as error:
            raise StorageError(
                f"{self.uri}/{key}: another writer is putting it at this moment; try again"
            ) from error

    def upload(self, source: Path, key: str) -> None:
        """Put a local file, in parts where it is large."""
        with self._explained(key):
            self._objects.put(key, source)
            self._sync(key)

    def _sync(self, key: str) -> None:
        """Flush a file and its folders to disk; obstore leaves that out on a folder."""
        if self._root is None:
            return
        path = self._root / key
        for place in (path, *path.parents):
            descriptor = os.open(place, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if place == self._root:
                return

    def head(self, key: str) -> ObjectInfo:
        """Return what the store says of one object."""
        with self._explained(key):
            return _info(self._objects.head(key))

    def exists(self, key: str) -> bool:
        """Return whether there is an object; False only when the store itself says so."""
        try:
            self.head(key)
        except MissingObject:
            return False
        return True

    def objects(self, prefix: str = "", *, after: str | None = None) -> list[ObjectInfo]:
        """Return every object below a folder, sorted by key.

        Args:
            prefix: a folder, `` for all.
            after: leave out keys up to and including this one.
        """
        with self._explained(prefix):
            pages = self._objects.list(prefix.rstrip("/") or None, offset=after)
            infos = [_info(meta) for page in pages for meta in page]
        return sorted(infos, key=lambda info: info.key)

    def children(self, prefix: str = "") -> tuple[list[str], list[ObjectInfo]]:
        """Return the names of the folders directly in a folder, and the objects directly in it."""
        with self._explained(prefix):
            result = self._objects.list_with_delimiter(prefix.rstrip("/") or None)
            folders = sorted(path.rsplit("/", 1)[-1] for path in result["common_prefixes"])
            objects = sorted((_info(meta) for meta in result["objects"]), key=lambda o: o.key)
        return folders, objects

    def between(
        self, folder: str, *, after: str | None = None, before: str | None = None
    ) -> list[ObjectInfo]:
        """Return the objects directly in a folder whose keys lie between two others, by key.

        What lies before the first is not listed by a bucket, and not asked for its size and time on
        a folder. For folders that hold no folders: a bucket would list what is in them.

        Args:
            folder: the folder.
            after: leave out keys up to and including this one; None begins at the first.
            before: leave out this key and those behind it; None goes on to the last.
        """
        infos: list[ObjectInfo] = []
        path = self.local_path(folder)
        with self._explained(folder):
            if path is not None:
                for name in names_between(path, f"{folder}/", after, before):
                    with suppress(FileNotFoundError):  # removed meanwhile, or a folder
                        infos.append(_info(self._objects.head(name)))
                return infos
            for page in self._objects.list(folder, offset=after):
                infos += [_info(meta) for meta in page]
                if before is not None and infos and infos[-1].key >= before:
                    break  # a bucket lists by key
        return [info for info in infos if before is None or info.key < before]

    def delete(self, key: str) -> None:
        """Remove one object."""
        with self._explained(key):
            self._objects.delete(key)

    def local_path(self, key: str) -> Path | None:
        """Return where an object lies on this machine's disk, or None for a remote store.

        Raises:
            StorageError: for a key that would leave the store.
        """
        if self._root is None:
            return None
        if key.startswith("/") or "\x00" in key or ".." in key.split("/"):
            raise StorageError(f"{self.uri}: {key!r} is not a key of this store")
        return self._root / key


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from replacing what lies in a folder: no disk does that by itself."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _no_folder(uri: str) -> ObjectStore:
    raise MissingFolder(f"{uri}: there is no such folder: check the address, and mount its disk")


def _info(meta: Any) -> ObjectInfo:
    return ObjectInfo(
        meta["path"], meta["size"], meta["last_modified"], meta["e_tag"], meta["version"]
    )
