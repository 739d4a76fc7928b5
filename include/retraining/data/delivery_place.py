"""Where a delivery and its flag lie, and what could lead out of there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from include.retraining.config.model import ModelConfig
from include.retraining.exceptions import (
    DeliveryError,
    MissingFolder,
    StorageError,
)
from include.retraining.store.object_store import Store


@dataclass(frozen=True)
class Place:
    """A folder of a store, with the address it was configured by."""

    store: Store
    folder: str

    @property
    def uri(self) -> str:
        """Its whole address."""
        return f"{self.store.uri}/{self.folder}".rstrip("/")

    def key(self, name: str) -> str:
        """Return the key of a file in it."""
        return f"{self.folder}/{name}".lstrip("/")


class Incomplete(Exception):  # never leaves this room: a state, not an error
    """The delivery is not complete yet; the message says what is missing."""


def flag_uri(store: Store, config: ModelConfig, date: date) -> str:
    """Return the address of the flag for one day's data."""
    return address(store, dated(config.trigger.flag, date))


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


def data_place(store: Store, config: ModelConfig, date: date) -> Place:
    """Return the folder of the data.

    Raises:
        Incomplete: when it is not there yet.
        DeliveryError: when it is a file, or a symbolic link leads out of the store.
    """
    location = dated(config.data.location, date).rstrip("/")
    if "://" not in location:
        place = Place(store, location)
    else:
        opened, folder = _open_or_wait(store, location)
        place = Place(opened, folder)
    _refuse_escape(place.store, place.folder)
    path = place.store.local_path(place.folder)
    if path is not None and path.is_file():
        raise DeliveryError(f"{place.uri}: is a file; data.location names a folder")
    return place


def flag_place(store: Store, config: ModelConfig, date: date) -> tuple[Place, str]:
    """Return the folder of the flag and the flag's name.

    Raises:
        Incomplete: when the folder is not there yet.
    """
    flag = dated(config.trigger.flag, date)
    folder, _, name = flag.rpartition("/")
    if "://" not in flag:
        return Place(store, folder), name
    opened, inside = _open_or_wait(store, folder)
    return Place(opened, inside), name


def _open_or_wait(store: Store, uri: str) -> tuple[Store, str]:
    """Open an absolute address; a missing folder means that the delivery has not arrived."""
    try:
        return open_location(store, uri)
    except StorageError as error:
        if uri.startswith("file://"):
            raise Incomplete(f"{uri}: there is no such folder yet") from error
        raise


def dated(template: str, date: date) -> str:
    """Return an address with its `{date}` filled in."""
    return template.replace("{date}", date.isoformat())


def address(store: Store, path: str) -> str:
    """Return a whole address; a relative one starts at the store."""
    return path if "://" in path else f"{store.uri}/{path}".rstrip("/")
