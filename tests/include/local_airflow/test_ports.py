"""A taken port is found out before Airflow starts."""

from __future__ import annotations

import socket

import pytest

from include.local_airflow import ports
from include.local_airflow.errors import PortTaken


@pytest.mark.parametrize("address", ["127.0.0.1", ""])
def test_taken(address: str) -> None:
    """A port that something listens on, on loopback or everywhere, is named with the way out."""
    with socket.create_server((address, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} for the UI is taken .*PORT=8081"):
            ports.require_free(port, "the UI", "choose another with PORT=8081")
        assert ports.free_port(port) != port


def test_free() -> None:
    """A port that nothing listens on is used as wanted."""
    port = ports.free_port()
    assert ports.require_free(port, "the UI", "") == port
    assert ports.free_port(port) == port


def test_avoid() -> None:
    """A free port that somebody else is about to take is not given away."""
    port = ports.free_port()
    assert ports.free_port(port, avoid={port}) != port
