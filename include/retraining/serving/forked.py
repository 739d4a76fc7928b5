"""Which process may read stores: the threads that do it are not in a fork of it."""

from __future__ import annotations

from os import getpid

from include.retraining.exceptions import InfrastructureError

_readers: set[int] = set()
"""The processes that loaded a version: this one, or one that it was forked from."""


def require_usable_stores() -> None:
    """Refuse to read in a fork of a process that read; it would wait for its threads for ever.

    Raises:
        InfrastructureError: saying what to do.
    """
    process = getpid()
    if _readers - {process}:
        raise InfrastructureError(
            "this process was forked from one that had loaded a version, and cannot read a store: "
            "load it after the fork only (gunicorn: without --preload)"
        )
    _readers.add(process)
