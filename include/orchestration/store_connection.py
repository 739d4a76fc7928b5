"""The Airflow connection `store`: which store this Airflow works on, and how it gets in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from include.orchestration.find_connection import why_missing
from include.retraining.exceptions import ConfigError
from include.retraining.secret_forms import forms_of
from include.retraining.secret_names import is_secret_name

if TYPE_CHECKING:
    from include.retraining.storage import Store

STORE_CONNECTION = "store"

# The fields of an AWS connection's extra that obstore has a setting for.
_AWS_EXTRA = {
    "region_name": "AWS_REGION",
    "endpoint_url": "AWS_ENDPOINT_URL",
    "aws_session_token": "AWS_SESSION_TOKEN",
}


class StoreAddress(NamedTuple):
    """Where the store is and the settings that open it."""

    uri: str
    options: dict[str, str]
    """obstore's settings by their environment names. Values are secrets."""


def store_address() -> StoreAddress:
    """Read the connection `store`.

    Its extra holds `uri`. A connection of type `aws` gives its login, password, region_name,
    endpoint_url and aws_session_token; any other type gives `options`, a mapping of obstore's
    environment names.

    Raises:
        ConfigError: when there is no such connection, or it names no store.
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
    options = _aws_options(connection) if connection.conn_type == "aws" else _options(extra)
    for name, value in options.items():
        if is_secret_name(name):
            for form in forms_of(value):
                mask_secret(form)
    return StoreAddress(uri.rstrip("/"), options)


def open_store() -> Store:
    """Open the store that the connection names.

    Raises:
        ConfigError: when the connection is missing or wrong.
        StorageError: when the store does not answer, or was never initialised.
    """
    from include.retraining import registry

    address = store_address()
    return registry.open_store(address.uri, address.options)


def _aws_options(connection: Connection) -> dict[str, str]:
    options = {}
    if connection.login:
        options["AWS_ACCESS_KEY_ID"] = connection.login
    if connection.password:
        options["AWS_SECRET_ACCESS_KEY"] = connection.password
    extra = connection.extra_dejson
    for field, name in _AWS_EXTRA.items():
        if extra.get(field):
            options[name] = str(extra[field])
    if options.get("AWS_ENDPOINT_URL", "").startswith("http://"):
        options["AWS_ALLOW_HTTP"] = "true"
    return options


def _options(extra: dict[str, object]) -> dict[str, str]:
    options = extra.get("options", {})
    if not isinstance(options, dict) or not all(isinstance(item, str) for item in options.values()):
        raise ConfigError(
            "the Airflow connection 'store': extra.options must map obstore's environment names "
            'to texts, for example {"GOOGLE_SERVICE_ACCOUNT": "/path/to/key.json"}'
        )
    return dict(options)
