"""One Airflow in a clone at a time, on any port: two would share database and store."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.local_airflow.errors import AlreadyRunning

LOCK = "running"


@contextmanager
def single_instance(folder: Path, url: str) -> Iterator[None]:
    """Lock a folder for as long as the block lasts; a killed process releases it.

    Args:
        folder: where it keeps what it makes; made when it is not there.
        url: where it is reached, for whoever comes second.

    Raises:
        AlreadyRunning: naming the process that holds it, and where that is reached.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise AlreadyRunning(
                f"Airflow runs in this clone already ({file.read().strip()}): end it with Ctrl-C "
                "where it was started, or use another clone; another port is not enough"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}, {url}\n")
        file.flush()
        yield
