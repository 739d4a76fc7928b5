"""Deliveries: is one complete, and which files belong to it.

A producer writes its files first and a flag last. The flag is a plain file (`ready.flag`,
`_SUCCESS`) or, when its name ends in `.json`, a manifest that lists the files::

    {"files": [{"name": "part-0.csv", "size": 123, "sha256": "…"}]}

Any other key in a manifest belongs to the producer and is not read.

A flag is never proof: every inspection goes to the files themselves. A manifest entry that could
lead out of the delivery's folder is refused before anything is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from include.retraining.config.model import ModelConfig
from include.retraining.data.delivery_listing import describe_listing, is_temporary
from include.retraining.documents import Document
from include.retraining.exceptions import (
    DeliveryError,
    EvidenceError,
    MissingFolder,
    MissingObject,
    StorageError,
)
from include.retraining.runs.manifest import Delivery, Flag, PinnedFile
from include.retraining.store.object_store import ObjectInfo, Store

MAX_LISTED_FILES = 1000
MAX_MANIFEST_BYTES = 2**20
CSV_ENDINGS = (".csv", ".csv.gz")
DATA_ENDINGS = (*CSV_ENDINGS, ".parquet")


class ListedFile(Document):
    """One file that a producer's manifest lists. Other keys belong to the producer."""

    model_config = ConfigDict(extra="ignore")

    name: str
    size: Annotated[int, Field(ge=0)]
    """Bytes."""
    sha256: (
        Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9A-Fa-f]{64}$")] | None
    ) = None


class ProducerManifest(Document):
    """A flag that lists the delivery's files. Other keys belong to the producer."""

    model_config = ConfigDict(extra="ignore")

    files: Annotated[tuple[ListedFile, ...], Field(max_length=MAX_LISTED_FILES)]


@dataclass(frozen=True)
class DeliveryState:
    """The result of one inspection of a delivery."""

    is_complete: bool
    reason: str
    """One sentence: what has arrived, or what is still missing."""
    flag: Flag | None
    """The flag, where there is one."""


@dataclass(frozen=True)
class _Place:
    """A folder of a store, with the address it was configured by."""

    store: Store
    folder: str

    @property
    def uri(self) -> str:
        return f"{self.store.uri}/{self.folder}".rstrip("/")

    def key(self, name: str) -> str:
        return f"{self.folder}/{name}".lstrip("/")


@dataclass(frozen=True)
class _File:
    """A file that belongs to the delivery."""

    name: str
    size: int
    sha256: str | None
    """What the producer's manifest says."""


class _Waiting(Exception):
    """The delivery is not complete yet; the message says what is missing."""


def flag_uri(store: Store, config: ModelConfig, date: date) -> str:
    """Return the address of the flag for one day's data."""
    return _address(store, _dated(config.trigger.flag, date))


def inspect_delivery(
    store: Store, config: ModelConfig, date: date, *, consumed: str | None
) -> DeliveryState:
    """Check whether a delivery is complete. Reads listings and the flag, never the data.

    Args:
        store: where relative addresses start.
        config: the model's.
        date: the date of the data; fills `{date}`.
        consumed: the identity of the flag that a finished decision was made on; a flag that still
            has it does not count. Without effect on a dated flag.

    Raises:
        DeliveryError: for what waiting cannot fix: a manifest that lists a path outside the
            delivery, a symbolic link, CSV beside Parquet. It says which flag named the delivery.
        StorageError: when the store refuses or does not answer.
    """
    flag: Flag | None = None
    try:
        flag, written = _inspect_flag(store, config, date)
        _refuse_consumed(flag, consumed)
        with _refusing(flag):
            files = _complete_files(store, config, date, written)
    except _Waiting as reason:
        return DeliveryState(is_complete=False, reason=str(reason), flag=flag)
    total = sum(file.size for file in files)
    return DeliveryState(
        is_complete=True, reason=f"{len(files)} file(s), {total:,} bytes, are there", flag=flag
    )


def pin_delivery(store: Store, config: ModelConfig, date: date) -> Delivery:
    """List a complete delivery's files and pin their content.

    A SHA-256 that the producer's manifest gives is taken as the pin (a job checks it when it opens
    the file); any other file is read once.

    Raises:
        DeliveryError: when the delivery is not complete, saying why, or cannot be accepted.
        StorageError: when the store refuses or does not answer.
    """
    try:
        flag, written = _inspect_flag(store, config, date)
        with _refusing(flag):
            files = _complete_files(store, config, date, written)
        place = _data_place(store, config, date)
    except _Waiting as reason:
        location = _address(store, _dated(config.data.location, date))
        raise DeliveryError(f"{location}: the delivery is not complete: {reason}") from None
    pinned = []
    for file in files:
        size, sha256 = file.size, file.sha256
        if sha256 is None:
            size, sha256 = place.store.digest(place.key(file.name))
        if size != file.size:
            raise DeliveryError(
                f"{place.uri}/{file.name}: has {size:,} bytes, had {file.size:,} a moment ago: "
                "its producer is still writing; write the flag last"
            )
        pinned.append(PinnedFile(name=file.name, size=size, sha256=sha256))
    return Delivery(location=place.uri, flag=flag, files=tuple(pinned))


def is_csv_name(name: str) -> bool:
    """Return whether a file of this name is CSV; any other is Parquet."""
    return name.endswith(CSV_ENDINGS)


def open_location(store: Store, location: str) -> tuple[Store, str]:
    """Return the store and the folder of a delivery's address.

    Raises:
        StorageError: when the address cannot be opened.
    """
    if location == store.uri or location.startswith(f"{store.uri}/"):
        return store, location[len(store.uri) + 1 :]
    try:
        return store.sibling(location), ""
    except MissingFolder as error:
        raise MissingFolder(
            f"{location}: there is no such folder to take a delivery from: mount its disk, have "
            "the producer create it, or correct the address in the model's YAML"
        ) from error


def refuse_link(store: Store, key: str) -> None:
    """Refuse a file on disk that is a symbolic link, or that one leads out of its store.

    Raises:
        DeliveryError: naming the file.
    """
    path = store.local_path(key)
    if path is not None and path.is_symlink():
        raise DeliveryError(f"{store.uri}/{key}: is a symbolic link; deliver the file itself")
    _refuse_escape(store, key)


def _refuse_escape(store: Store, key: str) -> None:
    """Refuse a file or folder that a symbolic link leads out of its store."""
    path, root = store.local_path(key), store.local_path("")
    if path is not None and root is not None and not path.resolve().is_relative_to(root.resolve()):
        raise DeliveryError(f"{store.uri}/{key}: leads out of {store.uri} by a symbolic link")


def _complete_files(
    store: Store, config: ModelConfig, date: date, flag: ObjectInfo
) -> tuple[_File, ...]:
    """Return the delivery's files, sorted by name, or raise `_Waiting` for what is missing."""
    place = _data_place(store, config, date)
    flag_place, flag_name = _flag_place(store, config, date)
    listed = None
    if flag_name.endswith(".json"):
        listed = _read_manifest(flag_place, flag_name, flag.size)
    folders, objects = place.store.children(place.folder)
    present = {info.key.rsplit("/", 1)[-1]: info for info in objects}
    if listed is None:
        lies_there = present
        if flag_place == place:
            lies_there = {name: info for name, info in present.items() if name != flag_name}
        files = _matching_files(config, lies_there, folders, place)
    else:
        files = _listed_files(listed, present)
    if len({is_csv_name(file.name) for file in files}) > 1:
        raise DeliveryError(f"{place.uri}: CSV and Parquet files are mixed; deliver one kind")
    for file in files:
        refuse_link(place.store, place.key(file.name))
        if file.size == 0:
            raise _Waiting(f"{file.name} is empty")
        # With a digest the content proves itself; without one, only the order of writing does.
        if file.sha256 is None and present[file.name].last_modified > flag.last_modified:
            raise _Waiting(f"{file.name} is newer than the flag {flag_name}")
    return files


def _matching_files(
    config: ModelConfig, present: dict[str, ObjectInfo], folders: list[str], place: _Place
) -> tuple[_File, ...]:
    wanted = [
        name
        for name in sorted(present)
        if any(fnmatchcase(name, pattern) for pattern in config.data.files)
        and not is_temporary(name)
    ]
    if not wanted:
        seen = describe_listing(present, folders, config.data.files)
        patterns = ", ".join(config.data.files)
        raise _Waiting(f"no file in {place.uri} matches {patterns}{seen}")
    return tuple(_File(name, present[name].size, None) for name in wanted)


def _listed_files(
    manifest: tuple[ListedFile, ...], present: dict[str, ObjectInfo]
) -> tuple[_File, ...]:
    for listed in manifest:
        if listed.name not in present:
            raise _Waiting(f"{listed.name}, listed in the manifest, is missing")
        size = present[listed.name].size
        if size != listed.size:
            raise _Waiting(
                f"{listed.name} has {size:,} bytes, the manifest says {listed.size:,}: half-written"
            )
    ordered = sorted(manifest, key=lambda listed: listed.name)
    return tuple(_File(listed.name, listed.size, listed.sha256) for listed in ordered)


def _read_manifest(place: _Place, name: str, size: int) -> tuple[ListedFile, ...]:
    """Parse the producer's manifest strictly; an incomplete one may still be being written.

    Raises:
        DeliveryError: naming the entry that is refused.
    """
    where = f"{place.uri}/{name}"
    if size > MAX_MANIFEST_BYTES:
        raise DeliveryError(f"{where}: has {size:,} bytes; allowed are {MAX_MANIFEST_BYTES:,}")
    data = place.store.read(place.key(name))
    try:
        files = ProducerManifest.from_bytes(data, where=where).files
    except EvidenceError as error:
        if data.rstrip().endswith(b"}"):
            raise DeliveryError(str(error)) from None
        raise _Waiting(f"{name} is not complete JSON yet") from None
    if not files:
        raise DeliveryError(f"{where}: lists no files")
    seen = set()
    for listed in files:
        problem = _problem_with_name(listed.name)
        if listed.name in seen:
            problem = "is listed twice"
        if problem:
            raise DeliveryError(f"{where}: {listed.name[:100]!r}: {problem}")
        if listed.size == 0:
            raise DeliveryError(f"{where}: {listed.name!r}: is listed as empty (0 bytes)")
        seen.add(listed.name)
    return files


def _problem_with_name(name: str) -> str | None:
    """Return why a listed name is refused, or None."""
    if not name or len(name) > 255 or not name.isprintable():
        return "must be 1 to 255 printable characters"
    if "/" in name or "\\" in name or ":" in name or name in {".", ".."}:
        return "must be a plain file name: no '/', '\\', ':' or '..'; files lie in the folder"
    if is_temporary(name):
        return "is the name of a temporary or hidden file"
    if not name.endswith(DATA_ENDINGS):
        return "must end in .csv, .csv.gz or .parquet"
    return None


def _inspect_flag(store: Store, config: ModelConfig, date: date) -> tuple[Flag, ObjectInfo]:
    place, name = _flag_place(store, config, date)
    key = place.key(name)
    refuse_link(place.store, key)
    try:
        info = place.store.head(key)
    except MissingObject:
        place.store.children(place.folder)  # S3 says the same of a missing bucket; a listing tells
        raise _Waiting(f"{name} is not there yet") from None
    flag = Flag(
        uri=f"{place.uri}/{name}",
        identity=_identity(place.store, info),
        is_consumable="{date}" not in config.trigger.flag,
    )
    return flag, info


@contextmanager
def _refusing(flag: Flag) -> Iterator[None]:
    """Add to a refusal which flag announced the delivery."""
    try:
        yield
    except DeliveryError as error:
        error.flag = flag
        raise


def _refuse_consumed(flag: Flag, consumed: str | None) -> None:
    if flag.is_consumable and consumed == flag.identity:
        raise _Waiting(f"{flag.uri.rsplit('/', 1)[-1]} is the one already decided on")


def _identity(store: Store, info: ObjectInfo) -> str:
    """Return what changes whenever a flag is written again.

    On disk the time in nanoseconds and the size. In a bucket an ETag alone is a hash of the
    content, equal for every empty `_SUCCESS`, so the time (in seconds) belongs to it, and the
    object's version where the bucket keeps versions.
    """
    path = store.local_path(info.key)
    if path is not None:
        status = path.stat()
        return f"{status.st_mtime_ns}-{status.st_size}"
    parts = (info.etag, f"{info.last_modified.timestamp():.0f}", info.object_version)
    return "-".join(part.strip('"') for part in parts if part)


def _data_place(store: Store, config: ModelConfig, date: date) -> _Place:
    location = _dated(config.data.location, date).rstrip("/")
    if "://" not in location:
        place = _Place(store, location)
    else:
        opened, folder = _open_or_wait(store, location)
        place = _Place(opened, folder)
    _refuse_escape(place.store, place.folder)
    path = place.store.local_path(place.folder)
    if path is not None and path.is_file():
        raise DeliveryError(f"{place.uri}: is a file; data.location names a folder")
    return place


def _flag_place(store: Store, config: ModelConfig, date: date) -> tuple[_Place, str]:
    flag = _dated(config.trigger.flag, date)
    folder, _, name = flag.rpartition("/")
    if "://" not in flag:
        return _Place(store, folder), name
    opened, inside = _open_or_wait(store, folder)
    return _Place(opened, inside), name


def _open_or_wait(store: Store, uri: str) -> tuple[Store, str]:
    """Open an absolute address; a missing folder means that the delivery has not arrived."""
    try:
        return open_location(store, uri)
    except StorageError as error:
        if uri.startswith("file://"):
            raise _Waiting(f"{uri}: there is no such folder yet") from error
        raise


def _dated(template: str, date: date) -> str:
    return template.replace("{date}", date.isoformat())


def _address(store: Store, path: str) -> str:
    return path if "://" in path else f"{store.uri}/{path}".rstrip("/")
