"""What a delivery's folder holds, as one sentence for the log of the waiting task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

TEMPORARY_ENDINGS = (".tmp", ".swp", ".part", ".crdownload", "~")
MAX_NAMES_LISTED = 5


def is_temporary(name: str) -> bool:
    """Return whether a name is of a file that is being written, or that is hidden."""
    head, _, number = name.rpartition("#")  # obstore's own names while it writes: data.csv#1
    return (
        name.startswith((".", "_"))
        or name.lower().endswith(TEMPORARY_ENDINGS)
        or (bool(head) and number.isdigit())
    )


def describe_listing(present: Iterable[str], folders: list[str], patterns: Sequence[str]) -> str:
    """Return what is in a folder instead of the files that are waited for, to end a sentence.

    Args:
        present: the names of the files, without the flag's.
        folders: the names of the folders.
        patterns: of the files that are waited for.
    """
    others = [name for name in sorted(present) if not is_temporary(name)]
    unfinished = [name for name in sorted(present) if is_temporary(name)]
    seen = ""
    if others:
        seen += f"; there are {_some(others)}"
        if any(
            fnmatchcase(name.lower(), pattern.lower()) for name in others for pattern in patterns
        ):
            seen += " (capital letters count)"
    if unfinished:
        seen += f"; temporary or hidden files do not count: {_some(unfinished)}"
    if folders:
        seen += f"; there are folders: {_some(folders)}; files must lie directly in the folder"
    return seen


def _some(names: Sequence[str]) -> str:
    """Return some names, and how many more there are."""
    more = len(names) - MAX_NAMES_LISTED
    shown = ", ".join(name[:100] for name in names[:MAX_NAMES_LISTED])
    return f"{shown} and {more:,} more" if more > 0 else shown
