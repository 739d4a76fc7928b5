"""What the storage library says, in one line of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from include.retraining.exceptions import MissingObject, StorageError, StoreRefused, UnusableKey

_DENIED = "the store denied access (check its role or keys)"
_UNUSABLE_KEY = re.compile(r'object with invalid path: .*?ath "(.*?)"(?: |:)', re.DOTALL)


@contextmanager
def explained(uri: str, key: str) -> Iterator[None]:
    """Turn obstore's errors into ours, in one line, naming the address.

    Args:
        uri: the store's.
        key: of the object, or a folder; empty for the store itself.
    """
    where = f"{uri}/{key}".rstrip("/")
    try:
        yield
    except FileNotFoundError as error:
        raise MissingObject(f"{where}: there is no such object") from error
    except (PermissionError, PermissionDeniedError, UnauthenticatedError) as error:
        raise StoreRefused(f"{where}: {_DENIED}") from error
    except (BaseError, OSError, ValueError) as error:
        said = str(error).split("\n\nDebug source", 1)[0].strip()
        unusable = _UNUSABLE_KEY.search(said)
        if unusable:
            raise UnusableKey(_why_unusable(where, unusable[1])) from error
        reason = said.replace("\n", " ")
        if re.search(r"status code: 40[13]\b", reason):  # a listing has no error type for it
            raise StoreRefused(f"{where}: {_DENIED}") from error
        if "NoSuchBucket" in reason:
            raise StoreRefused(f"{uri}: there is no such bucket") from error
        raise StorageError(f"{where}: {reason[:500]}") from error


def _why_unusable(where: str, key: str) -> str:
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in key
    )
    return (
        f'{where}: remove or rename "{shown}": with it nothing can be listed there; names have no '
        "empty part between two '/', no part '.' or '..', no control characters, and are in UTF-8"
    )
