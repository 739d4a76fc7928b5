"""What ran out when something failed: memory or disk. Neither says anything of code or data."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from include.retraining.exceptions import StorageError

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


class Exhausted(NamedTuple):
    """What ran out. Another try may succeed: elsewhere, or once space was freed."""

    kind: str
    """`out_of_memory` or `disk_full`: for records, alerts and exit messages."""
    message: str
    """What to do about it."""


def exhausted(error: BaseException) -> Exhausted | None:
    """Return what ran out where that is why an error was raised; None for any other error."""
    for cause in _causes(error):
        if isinstance(cause, MemoryError) or _is_out_of_memory(cause):
            return Exhausted(
                "out_of_memory",
                "out of memory: give the step more (compute.….memory) or a larger machine",
            )
        if isinstance(cause, OSError | StorageError) and (
            getattr(cause, "errno", None) in _NO_SPACE or "No space left on device" in str(cause)
        ):
            return Exhausted(
                "disk_full",
                "no space left on the disk: make room where the job runs, above all in "
                f"{tempfile.gettempdir()}, or on the disk of the store",
            )
    return None


def _is_out_of_memory(error: BaseException) -> bool:
    """Return whether the system had no memory for a call, or for another thread."""
    has_no_thread = isinstance(error, RuntimeError) and str(error) == "can't start new thread"
    return has_no_thread or (isinstance(error, OSError) and error.errno == errno.ENOMEM)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__
