"""The connection to the warm parent of this user and this code, which is started on first use."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from include.orchestration.backends.local.environment import PASSED_ON
from include.orchestration.backends.local.warm_identity import deployed, identity

PARENT = "include.orchestration.backends.local.warm_parent"
ROOT = Path(__file__).resolve().parents[4]
READ_AT_START = (*PASSED_ON, "LD_LIBRARY_PATH")
"""What a process reads when it starts or loads a library: a parent has it as its jobs have."""
SINGLE_THREADED = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Libraries that start threads when they are imported must not in the parent."""
LIBRARIES: tuple[tuple[str, ...], ...] = (
    (
        "threadpoolctl",
        "numpy",
        "pandas",
        "pyarrow.parquet",
        "pyarrow.compute",
        "pyarrow.csv",
        "pydantic",
        "yaml",
        "obstore.store",
        "pandera.pandas",
        "pandera.engines.pandas_engine",
    ),
    (
        "scipy.special",
        "sklearn.compose",
        "sklearn.dummy",
        "sklearn.impute",
        "sklearn.linear_model",
        "sklearn.metrics",
        "sklearn.pipeline",
        "sklearn.preprocessing",
        "skops.io",
    ),
    (
        "sklearn.ensemble",
        "fairlearn.metrics",
        "sklearn.calibration",
        "jinja2",
        "matplotlib.figure",
    ),
)
"""What jobs import, in the order of the steps. The first group is imported before a job starts, the
others while the parent has nothing else to do."""


CONNECT_SECONDS = 60.0


class NotWarm(Exception):
    """A job cannot fork from a warm parent, with the reason; it has not started."""


def connect(
    of_job: Mapping[str, str], libraries: Sequence[Sequence[str]] = LIBRARIES
) -> socket.socket:
    """Connect to the warm parent of this user and this code; start it if there is none.

    Args:
        of_job: the job's whole environment, of which the parent gets what `READ_AT_START` names.
        libraries: what it imports, in groups.

    Raises:
        NotWarm: when its folder is not safe.
        OSError: when it cannot be started.
    """
    environment = {name: of_job[name] for name in READ_AT_START if name in of_job}
    environment |= {"PYTHONUNBUFFERED": "1", **SINGLE_THREADED}
    groups = [",".join(group) for group in libraries]
    name = identity(ROOT, {**environment, "libraries": " ".join(groups)})[:16]
    folder = _own_folder()
    address = folder / f"{name}.socket"
    with suppress(FileNotFoundError, ConnectionRefusedError):
        return _connected(address)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(FileNotFoundError, ConnectionRefusedError):
            return _connected(address)  # somebody was faster
        address.unlink(missing_ok=True)
        _start_parent(address, environment, groups)
        return _connected(address)


def _connected(address: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(CONNECT_SECONDS)  # a parent that accepts nothing is refused then
    try:
        with _short(address) as path:
            connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _short(address: Path) -> Iterator[str]:
    """Give a path to a socket that is short enough, at most 107 bytes, for any TMPDIR."""
    folder = os.open(address.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{address.name}"
    finally:
        os.close(folder)


def _start_parent(address: Path, environment: dict[str, str], groups: Sequence[str]) -> None:
    """Start the parent behind a socket that takes orders at once, and wait until it is detached."""
    command = [sys.executable, "-m", PARENT, str(address), deployed(ROOT), *groups]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        with _short(address) as path:
            listener.bind(path)
        listener.listen(128)
        with (address.with_suffix(".log")).open("wb") as output:
            subprocess.run(  # noqa: S603 our own program, no shell
                command,
                cwd=ROOT,
                env=environment,
                stdin=listener.fileno(),
                stdout=output,
                stderr=output,
                start_new_session=True,
                check=False,
            )


def _own_folder() -> Path:
    """Return the folder of this user's sockets, which nobody else may enter.

    Raises:
        NotWarm: when what is there is something else.
    """
    folder = Path(tempfile.gettempdir()) / f"retraining-warm-{os.geteuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    if not is_ours or status.st_mode & 0o777 != 0o700:  # setgid may come from the folder above
        raise NotWarm(f"{folder} is not a folder of this user alone (mode 0700): remove it")
    return folder
