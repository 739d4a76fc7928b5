"""Apply `airflow_settings.yaml` (connections, pools, variables; the Astro CLI's format).

The Astro CLI does the same for its own containers, so one file serves both.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from include.local_airflow.errors import LocalAirflowError
from include.local_airflow.rest_client import AirflowSession

CONNECTION_FIELDS = {
    "conn_id": "connection_id",
    "conn_type": "conn_type",
    "conn_host": "host",
    "conn_schema": "schema",
    "conn_login": "login",
    "conn_password": "password",
    "conn_port": "port",
    "conn_extra": "extra",
    "conn_description": "description",
}
POOL_FIELDS = {"pool_name": "name", "pool_slot": "slots", "pool_description": "description"}
VARIABLE_FIELDS = {"variable_name": "key", "variable_value": "value"}
KINDS = {
    "connections": CONNECTION_FIELDS,
    "pools": POOL_FIELDS,
    "variables": VARIABLE_FIELDS,
}


class SettingsError(LocalAirflowError):
    """`airflow_settings.yaml` cannot be used."""


def apply_settings(file: Path, api: AirflowSession) -> None:
    """Create or replace what the file names. Applying it again changes nothing.

    Raises:
        SettingsError: when the file holds something that we do not know.
        AirflowRefused: when Airflow refuses an entry.
    """
    for kind, entities in read_settings(file).items():
        if entities:
            api.overwrite(kind, entities)


def read_settings(file: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the entries per kind, in the words of Airflow's REST API.

    Raises:
        SettingsError: naming the entry and what is allowed.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"{file.name}: {' '.join(str(error).split())}") from error
    sections = (content or {}).get("airflow") or {}
    unknown = sorted(set(sections) - set(KINDS))
    if unknown:
        raise SettingsError(
            f"{file.name}: {unknown[0]!r} is not known; allowed: {', '.join(KINDS)}"
        )
    return {
        kind: [_entity(file, kind, entry) for entry in sections.get(kind) or []] for kind in KINDS
    }


def _entity(file: Path, kind: str, entry: dict[str, Any]) -> dict[str, Any]:
    fields = KINDS[kind]
    unknown = sorted(set(entry) - set(fields))
    if unknown:
        allowed = ", ".join(fields)
        raise SettingsError(
            f"{file.name}: {kind}: {unknown[0]!r} is not a field; allowed: {allowed}"
        )
    # The Astro CLI's own template leaves unused fields empty.
    entity = {
        fields[name]: value for name, value in entry.items() if value is not None and value != ""
    }
    if isinstance(entity.get("extra"), dict):
        entity["extra"] = json.dumps(entity["extra"])
    return entity
