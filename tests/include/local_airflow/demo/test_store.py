"""The store comes from the user's environment, or lies in the clone."""

from __future__ import annotations

import json
from pathlib import Path

from include.local_airflow.demo.store import local_store, store_connection, store_options


def test_default_is_in_the_clone(tmp_path: Path) -> None:
    """Without a named store, a folder of the clone is made and used."""
    uri = local_store(tmp_path, {})
    assert uri == f"file://{tmp_path}/.local/store"
    assert (tmp_path / ".local" / "store").is_dir()
    assert store_options(uri, {"AWS_ACCESS_KEY_ID": "x"}) == {}


def test_named_store(tmp_path: Path) -> None:
    """A named store is used with the user's cloud settings, and nothing else of theirs."""
    environment = {
        "RETRAINING_STORE": "s3://bucket/prefix/",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CA_BUNDLE": "/etc/ca.pem",
        "HOME": "/root",
        "RETRAINING_STORE_OPTIONS": '{"AWS_REGION": "eu-west-1"}',
    }
    uri = local_store(tmp_path, environment)
    options = store_options(uri, environment)
    assert uri == "s3://bucket/prefix"
    assert options == {
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-west-1",
    }
    assert json.loads(store_connection(uri, options)) == {
        "conn_type": "aws",
        "login": "id",
        "password": "secret",
        "extra": {"uri": uri, "region_name": "eu-west-1"},
    }


def test_folder_connection() -> None:
    """A folder's connection names it and holds nothing secret."""
    connection = json.loads(store_connection("file:///data", {}))
    assert connection["extra"] == {"uri": "file:///data", "options": {}}
