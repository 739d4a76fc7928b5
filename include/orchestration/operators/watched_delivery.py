"""What the trigger watches while a delivery is waited for, and what the worker saw of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from include.retraining.config.model import ModelConfig
from include.retraining.config.trigger import PLACES
from include.retraining.exceptions import ConfigError, StorageError

if TYPE_CHECKING:
    from flag_triggers import FlagTrigger, Observation  # type: ignore[import-not-found]

    from include.retraining.store.object_store import ObjectInfo, Store


@dataclass(frozen=True)
class WatchedDelivery:
    """A flag and a delivery's folder, by their addresses."""

    flag: str
    folder: str

    @classmethod
    def of(cls, store_uri: str, config: ModelConfig, day: date) -> WatchedDelivery:
        """Return the addresses for one day's data.

        Raises:
            ConfigError: when flag and folder cannot be watched by one trigger.
        """
        flag, folder = (
            address if "://" in address else f"{store_uri}/{address}"
            for address in (
                template.replace("{date}", day.isoformat())
                for template in (config.trigger.flag, config.data.location)
            )
        )
        schemes = {flag.partition("://")[0], folder.partition("://")[0]}
        if len(schemes) != 1 or not schemes <= set(PLACES):
            raise ConfigError(
                f"model {config.name}: cannot wait on flag {flag} with data in {folder}: both must "
                "be of the same kind: file://, s3://, gs:// or az:// addresses"
            )
        return cls(flag, folder)

    @property
    def is_local(self) -> bool:
        """Whether it lies on a disk."""
        return self.flag.startswith("file://")

    def observe(self, store: Store) -> Observation | None:
        """Return an observation in the trigger's own terms; None when that is not possible.

        Taken before a delivery is judged, so that what changes during the judgement is news.
        """
        from flag_triggers import observation, observe_folder

        from include.retraining.data.delivery_place import open_location

        if self.is_local:
            return observe_folder(_path(self.flag), _path(self.folder))
        try:
            flag = _find(store, self.flag)
            opened, folder = open_location(store, self.folder)
            files = [
                (PurePosixPath(info.key).name, info.size, _identity(info))
                for info in opened.children(folder)[1]
            ]
        except StorageError:
            return None
        return observation(_identity(flag) if flag else None, files)

    def trigger(self, **fields: Any) -> FlagTrigger:
        """Return the trigger that watches this delivery."""
        from flag_triggers import FileFlagTrigger, ObstoreFlagTrigger, S3FlagTrigger

        if self.is_local:
            return FileFlagTrigger(flag=_path(self.flag), folder=_path(self.folder), **fields)
        kind = S3FlagTrigger if self.flag.startswith("s3://") else ObstoreFlagTrigger
        return kind(flag=self.flag, folder=self.folder, **fields)


def _path(uri: str) -> str:
    return unquote(urlsplit(uri).path)


def _find(store: Store, uri: str) -> ObjectInfo | None:
    """Return what the store says of one object, None when there is none."""
    from include.retraining.data.delivery_place import open_location
    from include.retraining.exceptions import MissingObject

    folder, _, name = uri.rpartition("/")
    opened, inside = open_location(store, folder)
    try:
        return opened.head(f"{inside}/{name}".lstrip("/"))
    except MissingObject:
        return None


def _identity(info: ObjectInfo) -> str:
    from flag_triggers import object_identity

    return str(object_identity(info.etag, info.last_modified))
