"""The store of a trial: a temporary one, a new one in a folder, or one that is there already."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.retraining.exceptions import ConfigError
from include.retraining.store.layout import STORE_MARKER
from include.retraining.store.marker import initialise, open_store
from include.retraining.store.object_store import Store


@contextmanager
def trial_store(place: str | None, model: str, *, must_be_new: bool) -> Iterator[Store]:
    """Open the store of a trial. A temporary one stays, unless the trial ends with an error.

    Args:
        place: a folder, or the address of a store; None for a temporary folder.
        model: the model's name.
        must_be_new: whether the trial promotes in it, which no store in use is for.

    Raises:
        ConfigError: for a folder that holds something else, or for a store that must be new.
        StorageError: when the store refuses, does not answer or was never initialised.
    """
    if place is None:
        folder = Path(tempfile.mkdtemp(prefix=f"retraining-try-{model}-"))
        try:
            yield initialise(folder.as_uri())
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return
    if must_be_new and not _is_empty(place):
        raise ConfigError(
            f"{place}: --against promotes the first delivery's model to compare with it, which no "
            "store in use is for: leave --store out, or name a new folder"
        )
    in_use = store_in_use(place)
    if in_use is not None:
        yield open_store(in_use)
        return
    if not _is_empty(place):
        raise ConfigError(f"{place}: is neither a store nor an empty folder: name a new one")
    yield initialise(Path(place).resolve().as_uri())


def store_in_use(place: str | None) -> str | None:
    """Return the address of the store that is there already; None where a trial makes its own.

    Args:
        place: as `trial_store` takes it.
    """
    if place is None:
        return None
    if "://" in place:
        return place
    path = Path(place)
    return path.resolve().as_uri() if (path / STORE_MARKER).is_file() else None


def _is_empty(place: str) -> bool:
    path = Path(place)
    if "://" in place:
        return False
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))
