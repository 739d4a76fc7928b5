"""Buckets of Google Cloud and containers of Azure, listed as those of S3 are.

The listing of `prefix_listing.py` asks them through obstore, with the settings of the Airflow
connection `store`, as the worker does.

Light at import: Airflow loads every plugin in each of its processes, tasks included. The settings
are read by `include`, which the triggerer takes from beside this folder.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from prefix_listing import BucketListing, bucket_listing

ROOT = Path(__file__).resolve().parents[1]
PAGE = 1_000
PATIENCE = timedelta(seconds=30)
LASTING = ("status code: 401", "status code: 403", "NoSuchBucket", "ContainerNotFound")
"""What a listing's error says that waiting does not change: it has no type of its own for it."""


class ObjectPages:
    """Answers `list_objects_v2` from a store of obstore."""

    def __init__(self, objects: Any) -> None:
        """List a store whose keys start at the bucket."""
        self._objects = objects

    async def list_objects_v2(self, *, Bucket: str, Prefix: str, StartAfter: str) -> dict[str, Any]:  # noqa: N803, ARG002 as S3 names them
        """Return the next thousand objects behind a key."""
        pages = self._objects.list(Prefix or None, offset=StartAfter or None, chunk_size=PAGE)
        page = await anext(pages, [])
        contents = [
            {
                "Key": item["path"],
                "Size": item["size"],
                "ETag": item["e_tag"],
                "LastModified": item["last_modified"],
            }
            for item in page
        ]
        return {"Contents": contents, "IsTruncated": len(contents) == PAGE}


def container_listing(container: str) -> BucketListing:
    """Return the listing of a `gs://` bucket or an `az://` container that all triggers share.

    Args:
        container: its address, without a path.
    """
    return bucket_listing(container, _opening(container))


def denial(error: Exception) -> str | None:
    """Return what waiting does not change; None for any other error."""
    from obstore.exceptions import NotFoundError, PermissionDeniedError, UnauthenticatedError

    kinds = (NotFoundError, PermissionDeniedError, UnauthenticatedError)
    text = str(error).strip()
    if isinstance(error, kinds) or any(sign in text for sign in LASTING):
        return text.splitlines()[0][:300]
    return None


@cache
def _opening(container: str) -> Callable[[], AbstractAsyncContextManager[Any]]:
    """Return what opens a container; the same for each who asks, as the listing is shared by it."""

    @asynccontextmanager
    async def open_container() -> AsyncIterator[ObjectPages]:
        # In a thread: the connection is read from Airflow, and the files of a key from a disk.
        yield ObjectPages(await asyncio.to_thread(_open, container))

    return open_container


def _open(container: str) -> Any:
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    from include.orchestration.runtime.store import store_address

    return _store(container, tuple(sorted(store_address().options.items())))


@lru_cache(maxsize=8)
def _store(container: str, options: tuple[tuple[str, str], ...]) -> Any:
    """Return a store of obstore, which keeps its token as long as that is valid."""
    from obstore.store import from_url

    settings = dict(options)
    may_be_plain = settings.pop("AWS_ALLOW_HTTP", "false") == "true"
    config: Any = {name.lower(): value for name, value in settings.items()}
    return from_url(
        container,
        config=config or None,
        client_options={"allow_http": may_be_plain, "timeout": PATIENCE},
        retry_config={"max_retries": 2, "retry_timeout": PATIENCE},
    )
