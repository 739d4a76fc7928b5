"""The files of a folder that others fill: plain files, and no link that leads elsewhere."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

SAFE_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
SAFE_PATH = rf"{SAFE_NAME}(/{SAFE_NAME})*"


def plain_files(folder: Path, *, skip: Callable[[str], bool] = lambda _: False) -> list[str]:
    """Return the paths of all files below a folder, relative to it, sorted.

    Args:
        folder: where to look.
        skip: whether to pass over a file or a folder of this name.

    Raises:
        ValueError: naming a link or a special file.
    """
    paths = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not skip(name)]
        for name in [*folders, *(name for name in files if not skip(name))]:
            path = Path(place, name)
            relative = path.relative_to(folder).as_posix()
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise ValueError(f"{relative}: a link or a special file")
            if stat.S_ISREG(mode):
                paths.append(relative)
    return sorted(paths)
