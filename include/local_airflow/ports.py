"""Find out which loopback ports are free before Airflow takes them.

When a port is taken, Airflow's other components carry on and talk to whoever owns it, and its
health page even looks green; so this is checked first.
"""

from __future__ import annotations

import socket
from collections.abc import Collection

from include.local_airflow.errors import PortTaken

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether nothing listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex((LOOPBACK, port)) == 0:
            return False
    with socket.socket() as listener:
        # As servers do: a connection that still lingers from a server that ended does not count.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("", port))
        except OSError:
            return False
    return True


def require_free(port: int, what: str, how_to_change: str) -> int:
    """Return ``port``.

    Raises:
        PortTaken: when something listens there, naming what wanted it and how to choose another.
    """
    if not is_free(port):
        raise PortTaken(f"port {port} for {what} is taken by another program; {how_to_change}")
    return port


def free_port(wanted: int | None = None, *, avoid: Collection[int] = ()) -> int:
    """Return ``wanted`` when it is free, else any free port that is not in ``avoid``."""
    if wanted is not None and wanted not in avoid and is_free(wanted):
        return wanted
    while True:
        with socket.socket() as listener:
            listener.bind(("", 0))
            port = int(listener.getsockname()[1])
        if port not in avoid:
            return port
