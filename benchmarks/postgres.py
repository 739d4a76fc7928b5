"""A PostgreSQL of its own on loopback, where there is one on this machine.

SQLite, which a local Airflow has otherwise, lets one process write at a time: with hundreds of runs
its components would wait for each other, and some give up.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from include.local_airflow.ports import LOOPBACK, free_port

READY_SECONDS = 60.0
USER = "airflow"


@contextmanager
def postgres() -> Iterator[str | None]:
    """Yield the address of an empty database, or None where `initdb` and `postgres` are missing."""
    if not all(shutil.which(name) for name in ("initdb", "postgres", "createdb")):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="bench-postgres-") as folder:
        yield from _running(Path(folder))


def _running(folder: Path) -> Iterator[str]:
    # It refuses to run as root.
    other: dict[str, Any] = {}
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")
        other = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    data, port = str(folder / "data"), str(free_port())
    make = ["initdb", "--pgdata", data, "--username", USER, "--auth", "trust", "--no-sync"]
    subprocess.run(make, cwd="/", check=True, stdout=subprocess.DEVNULL, **other)
    options = (f"listen_addresses={LOOPBACK}", "unix_socket_directories=", "max_connections=200")
    words = [word for option in options for word in ("-c", option)]
    with (folder / "postgres.log").open("wb") as log:
        server = subprocess.Popen(
            ["postgres", "-D", data, "-p", port, *words], cwd="/", stdout=log, stderr=log, **other
        )
    try:
        _create_database(port)
        yield f"postgresql+psycopg2://{USER}@{LOOPBACK}:{port}/airflow"
    finally:
        server.send_signal(signal.SIGINT)  # at once, though clients are connected
        server.wait()


def _create_database(port: str) -> None:
    command = ["createdb", "--host", LOOPBACK, "--port", port, "--username", USER, "airflow"]
    deadline = time.monotonic() + READY_SECONDS
    while True:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start: {done.stderr}")
        time.sleep(0.5)
