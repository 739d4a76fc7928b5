"""Which store the local Airflow works on, and the connection that gives it to tasks."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from include.retraining.store.object_store import OPTIONS_VARIABLE, URI_VARIABLE

# obstore's settings that are taken from the user's environment.
PREFIXES = ("AWS_", "GOOGLE_", "AZURE_")
# Settings of other programs with the same beginning, which obstore does not know.
NOT_OURS = frozenset({"AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_PAGER"})


def local_store(root: Path, environment: Mapping[str, str] = os.environ) -> str:
    """Return the store's address: what `RETRAINING_STORE` names, else a folder in the clone."""
    named = environment.get(URI_VARIABLE)
    if named:
        return named.rstrip("/")
    folder = root.resolve() / ".local" / "store"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.as_uri()


def store_options(uri: str, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return obstore's settings for a store, by environment name; none for a folder.

    Values are secrets.
    """
    if uri.startswith("file:"):
        return {}
    options = {
        name: value
        for name, value in environment.items()
        if name.startswith(PREFIXES) and name not in NOT_OURS
    }
    return options | dict(json.loads(environment.get(OPTIONS_VARIABLE, "{}")))


def store_connection(uri: str, options: Mapping[str, str]) -> str:
    """Return the Airflow connection `store`, in the form of an `AIRFLOW_CONN_…` variable."""
    if not uri.startswith("s3:"):
        return json.dumps({"conn_type": "generic", "extra": {"uri": uri, "options": dict(options)}})
    extra = {
        "uri": uri,
        "region_name": options.get("AWS_REGION") or options.get("AWS_DEFAULT_REGION"),
        "endpoint_url": options.get("AWS_ENDPOINT_URL"),
        "aws_session_token": options.get("AWS_SESSION_TOKEN"),
    }
    return json.dumps({
        "conn_type": "aws",
        "login": options.get("AWS_ACCESS_KEY_ID"),
        "password": options.get("AWS_SECRET_ACCESS_KEY"),
        "extra": {name: value for name, value in extra.items() if value},
    })
