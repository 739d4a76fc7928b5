"""Tests of the Airflow connection `store`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from include.orchestration.runtime.store import open_store, store_address
from include.retraining.exceptions import ConfigError, StoreNotInitialised
from include.retraining.store import marker as store_marker
from include.retraining.store.object_store import Store

StoreIs = Callable[..., None]


def test_an_aws_connection_becomes_obstores_settings(store_is: StoreIs) -> None:
    """Keys, region, endpoint and session token are handed on; a plain endpoint allows HTTP."""
    store_is(
        "s3://bucket/prefix/",
        conn_type="aws",
        login="me",
        password="secret",
        extra={
            "region_name": "eu-west-1",
            "endpoint_url": "http://127.0.0.1:9000",
            "aws_session_token": "token",
        },
    )
    address = store_address()
    assert address.uri == "s3://bucket/prefix"
    assert address.options == {
        "AWS_ACCESS_KEY_ID": "me",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9000",
        "AWS_SESSION_TOKEN": "token",
        "AWS_ALLOW_HTTP": "true",
    }


def test_an_aws_connection_without_keys_leaves_them_to_the_role(store_is: StoreIs) -> None:
    """Nothing is invented, and HTTPS stays required."""
    store_is("s3://b", conn_type="aws", extra={"endpoint_url": "https://s3.example.org"})
    assert store_address().options == {"AWS_ENDPOINT_URL": "https://s3.example.org"}


def test_any_other_connection_gives_its_options(store_is: StoreIs) -> None:
    """Options by obstore's environment names."""
    store_is("gs://bucket", extra={"options": {"GOOGLE_SERVICE_ACCOUNT": "/key.json"}})
    assert store_address() == ("gs://bucket", {"GOOGLE_SERVICE_ACCOUNT": "/key.json"})


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"uri": ""}, "names no store"),
        ({"uri": 5}, "names no store"),
        ({"options": ["a"]}, "extra.options must map"),
        ({"options": {"A": 5}}, "extra.options must map"),
    ],
)
def test_a_wrong_connection_is_refused_in_one_line(
    store_is: StoreIs, extra: dict[str, Any], says: str
) -> None:
    """The error says which field and what is expected."""
    store_is("file:///x", extra=extra)
    with pytest.raises(ConfigError, match=says) as error:
        store_address()
    assert "\n" not in str(error.value)


def test_a_missing_connection_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how to make it."""
    monkeypatch.delenv("AIRFLOW_CONN_STORE", raising=False)
    with pytest.raises(ConfigError, match="there is no Airflow connection 'store': create one"):
        store_address()


def test_an_initialised_store_is_opened(any_store: Store, store_is: StoreIs) -> None:
    """A folder and a bucket alike."""
    store_marker.initialise(any_store.uri, any_store.options)
    if any_store.uri.startswith("s3"):
        store_is(
            any_store.uri,
            conn_type="aws",
            login=any_store.options["AWS_ACCESS_KEY_ID"],
            password=any_store.options["AWS_SECRET_ACCESS_KEY"],
            extra={
                "region_name": "us-east-1",
                "endpoint_url": any_store.options["AWS_ENDPOINT_URL"],
            },
        )
    else:
        store_is(any_store.uri)
    store = open_store()
    assert store.uri == any_store.uri
    assert store.children()[1][0].key == "store.json"


def test_an_empty_place_is_no_store(folder_store: Store, store_is: StoreIs) -> None:
    """A place that nobody initialised is an error and never "no champion yet"."""
    store_is(folder_store.uri)
    with pytest.raises(StoreNotInitialised):
        open_store()
