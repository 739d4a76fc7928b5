"""The Airflow connection `store`: which store this Airflow works on, and how it gets in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from include.orchestration.runtime.aws_store import aws_options
from include.orchestration.runtime.connections import why_missing
from include.retraining.exceptions import ConfigError
from include.retraining.store.secret_forms import forms_of
from include.retraining.store.secret_names import is_secret_name

if TYPE_CHECKING:
    from include.retraining.store.object_store import Store

STORE_CONNECTION = "store"


class StoreAddress(NamedTuple):
    """Where the store is and the settings that open it."""

    uri: str
    options: dict[str, str]
    """obstore's settings by their environment names. Values are secrets."""


def store_address(*, seconds: float = 0) -> StoreAddress:
    """Read the connection `store`.

    Its extra holds `uri`, and may hold `options`, a mapping of obstore's environment names. A
    connection of type `aws` gives what `aws_options` makes of it too: keys, role, region, server.

    Args:
        seconds: how long what it gives must open the store: a job cannot renew it.

    Raises:
        ConfigError: when there is no such connection, or it names no store, or says what would not
            be followed.
        StorageError: when AWS does not answer who may ask.
    """
    try:
        connection = Connection.get(STORE_CONNECTION)
    except AirflowNotFoundException as error:
        raise ConfigError(
            "there is no Airflow connection 'store': create one whose extra holds "
            f'{{"uri": "s3://bucket/prefix"}} (or file:///folder); {why_missing(STORE_CONNECTION)}'
        ) from error
    extra = connection.extra_dejson
    uri = extra.get("uri")
    if not isinstance(uri, str) or not uri:
        raise ConfigError(
            "the Airflow connection 'store' names no store: its extra must hold "
            '{"uri": "s3://bucket/prefix"} (or file:///folder)'
        )
    options = connection_options(connection, seconds=seconds)
    return StoreAddress(uri.rstrip("/"), options)


def connection_options(connection: Connection, *, seconds: float = 0) -> dict[str, str]:
    """Return the settings by which a connection opens a place for objects; secrets are masked.

    Raises:
        ConfigError: when it says what would not be followed.
        StorageError: when AWS does not answer who may ask.
    """
    options = _options(connection.extra_dejson)
    if connection.conn_type == "aws":
        options = aws_options(connection, seconds=seconds)
    for name, value in options.items():
        if is_secret_name(name):
            for form in forms_of(value):
                mask_secret(form)
    return options


def open_store() -> Store:
    """Open the store that the connection names.

    Raises:
        ConfigError: when the connection is missing or wrong.
        StorageError: when the store does not answer, or was never initialised.
    """
    from include.retraining.store import marker as store_marker

    address = store_address()
    return store_marker.open_store(address.uri, address.options)


def _options(extra: dict[str, object]) -> dict[str, str]:
    options = extra.get("options", {})
    if not isinstance(options, dict) or not all(isinstance(item, str) for item in options.values()):
        raise ConfigError(
            "the Airflow connection 'store': extra.options must map obstore's environment names "
            'to texts, for example {"GOOGLE_SERVICE_ACCOUNT": "/path/to/key.json"}'
        )
    return dict(options)
