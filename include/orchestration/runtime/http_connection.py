"""Airflow connections of type `http`: the address of a server."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow.sdk import Connection

from include.retraining.exceptions import ConfigError


def http_address(connection: Connection) -> str:
    """Return the address of a connection of type `http`, as Airflow's own hook makes it.

    Raises:
        ConfigError: when it names no server, or holds a login that would be shown.
    """
    host = (connection.host or "").strip()
    if connection.conn_type != "http":
        raise ConfigError(f"its type is {connection.conn_type!r}, must be 'http'")
    if not host:
        raise ConfigError("its host is empty: it must be the address, such as https://HOST/PATH")
    base = host if "://" in host else f"{connection.schema or 'http'}://{host}"
    if not base.startswith(("http://", "https://")) or "@" in base:
        raise ConfigError("its host must be http://… or https://…, without a login in it")
    if connection.port:
        scheme, _, rest = base.partition("://")
        server, slash, path = rest.partition("/")
        base = f"{scheme}://{server}:{connection.port}{slash}{path}"
    if not _names_server(base):
        raise ConfigError("its host is no address: it must be such as https://HOST:PORT/PATH")
    return base


def _names_server(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and parts.port != 0  # reading the port checks it
    except ValueError:
        return False
