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

from include.retraining.config.model import ModelConfig
from include.retraining.data.delivery_listing import describe_listing, is_temporary
from include.retraining.data.delivery_place import (
    Incomplete,
    Place,
    address,
    data_place,
    dated,
    flag_place,
    refuse_link,
)
from include.retraining.data.producer_manifest import ListedFile, is_csv_name, read_manifest
from include.retraining.exceptions import (
    DeliveryError,
    MissingObject,
)
from include.retraining.fingerprint.pinned import Delivery, Flag, PinnedFile
from include.retraining.store.object_store import ObjectInfo, Store


@dataclass(frozen=True)
class DeliveryState:
    """The result of one inspection of a delivery."""

    is_complete: bool
    reason: str
    """One sentence: what has arrived, or what is still missing."""
    flag: Flag | None
    """The flag, where there is one."""


@dataclass(frozen=True)
class _File:
    """A file that belongs to the delivery."""

    name: str
    size: int
    sha256: str | None
    """What the producer's manifest says."""


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
    except Incomplete as reason:
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
        place = data_place(store, config, date)
    except Incomplete as reason:
        location = address(store, dated(config.data.location, date))
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


def _complete_files(
    store: Store, config: ModelConfig, date: date, flag: ObjectInfo
) -> tuple[_File, ...]:
    """Return the delivery's files, sorted by name, or raise `Incomplete` for what is missing."""
    place = data_place(store, config, date)
    beside, flag_name = flag_place(store, config, date)
    listed = None
    if flag_name.endswith(".json"):
        listed = read_manifest(beside, flag_name, flag.size)
    folders, objects = place.store.children(place.folder)
    present = {info.key.rsplit("/", 1)[-1]: info for info in objects}
    if listed is None:
        lies_there = present
        if beside == place:
            lies_there = {name: info for name, info in present.items() if name != flag_name}
        files = _matching_files(config, lies_there, folders, place)
    else:
        files = _listed_files(listed, present)
    if len({is_csv_name(file.name) for file in files}) > 1:
        raise DeliveryError(f"{place.uri}: CSV and Parquet files are mixed; deliver one kind")
    for file in files:
        refuse_link(place.store, place.key(file.name))
        if file.size == 0:
            raise Incomplete(f"{file.name} is empty")
        # With a digest the content proves itself; without one, only the order of writing does.
        if file.sha256 is None and present[file.name].last_modified > flag.last_modified:
            raise Incomplete(f"{file.name} is newer than the flag {flag_name}")
    return files


def _matching_files(
    config: ModelConfig, present: dict[str, ObjectInfo], folders: list[str], place: Place
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
        raise Incomplete(f"no file in {place.uri} matches {patterns}{seen}")
    return tuple(_File(name, present[name].size, None) for name in wanted)


def _listed_files(
    manifest: tuple[ListedFile, ...], present: dict[str, ObjectInfo]
) -> tuple[_File, ...]:
    for listed in manifest:
        if listed.name not in present:
            raise Incomplete(f"{listed.name}, listed in the manifest, is missing")
        size = present[listed.name].size
        if size != listed.size:
            raise Incomplete(
                f"{listed.name} has {size:,} bytes, the manifest says {listed.size:,}: half-written"
            )
    ordered = sorted(manifest, key=lambda listed: listed.name)
    return tuple(_File(listed.name, listed.size, listed.sha256) for listed in ordered)


def _inspect_flag(store: Store, config: ModelConfig, date: date) -> tuple[Flag, ObjectInfo]:
    place, name = flag_place(store, config, date)
    key = place.key(name)
    refuse_link(place.store, key)
    try:
        info = place.store.head(key)
    except MissingObject:
        place.store.children(place.folder)  # S3 says the same of a missing bucket; a listing tells
        raise Incomplete(f"{name} is not there yet") from None
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
    """Refuse a flag that an earlier decision used up (`consumed_flag` in decisions/records.py)."""
    if flag.is_consumable and consumed == flag.identity:
        raise Incomplete(f"{flag.uri.rsplit('/', 1)[-1]} is the one already decided on")


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
