"""`airflow_settings.yaml` becomes what Airflow's API takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from include.local_airflow.settings import KINDS, SettingsError, read_settings
from tests.support.repository_copy import REPOSITORY

# The fields that the Astro CLI knows, with their types there; it decodes no number from a text's
# place. https://github.com/astronomer/astro-cli/blob/main/settings/types.go
ASTRO: dict[str, dict[str, type]] = {
    "connections": {
        "conn_id": str,
        "conn_type": str,
        "conn_host": str,
        "conn_schema": str,
        "conn_login": str,
        "conn_password": str,
        "conn_port": int,
        "conn_uri": str,
        "conn_extra": str,
    },
    "pools": {"pool_name": str, "pool_slot": int, "pool_description": str},
    "variables": {"variable_name": str, "variable_value": str},
}

FILE = """
airflow:
  connections:
    - conn_id: slack_alerts
      conn_type: slackwebhook
      conn_host: http://127.0.0.1:9999/services
      conn_schema:
      conn_login: ""
      conn_password: T/B/X
      conn_port:
      conn_extra: {timeout: 10}
  pools: [{pool_name: training, pool_slot: 2, pool_description: ""}]
  variables:
"""


def write(folder: Path, text: str) -> Path:
    """Write a settings file."""
    file = folder / "airflow_settings.yaml"
    file.write_text(text)
    return file


def test_translation(tmp_path: Path) -> None:
    """Empty fields are left out and extras become JSON."""
    settings = read_settings(write(tmp_path, FILE))
    (connection,) = settings["connections"]
    assert json.loads(connection.pop("extra")) == {"timeout": 10}
    assert connection == {
        "connection_id": "slack_alerts",
        "conn_type": "slackwebhook",
        "host": "http://127.0.0.1:9999/services",
        "password": "T/B/X",
    }
    assert settings["pools"] == [{"name": "training", "slots": 2}]
    assert settings["variables"] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("airflow: {connection: []}", "'connection' is not known; allowed: connections, pools"),
        ("airflow: {pools: [{pool_slots: 2}]}", "pools: 'pool_slots' is not a field; allowed: "),
        ("airflow: {pools: [", "airflow_settings.yaml: "),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    """A mistake is named with what is allowed, in one line."""
    with pytest.raises(SettingsError) as caught:
        read_settings(write(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    """A missing file is named."""
    with pytest.raises(SettingsError, match="nowhere"):
        read_settings(tmp_path / "nowhere.yaml")


def test_shipped_file() -> None:
    """The shipped file is understood and holds the Slack connection."""
    root = Path(__file__).parents[3]
    settings = read_settings(root / "airflow_settings.yaml")
    assert "slack_alerts" in {item["connection_id"] for item in settings["connections"]}


def test_the_repository_s_file_is_one_for_both() -> None:
    """The Astro CLI takes each field as it stands, and so do we; neither drops one silently."""
    file = REPOSITORY / "airflow_settings.yaml"
    ours = read_settings(file)
    assert [one["name"] for one in ours["pools"]] == ["training"]
    sections = yaml.safe_load(file.read_text())["airflow"]
    assert set(sections) == set(ASTRO) == set(KINDS)
    for kind, entries in sections.items():
        assert len(ours[kind]) == len(entries)
        for entry in entries:
            for name, value in entry.items():
                assert name in ASTRO[kind], name
                assert value is None or isinstance(value, ASTRO[kind][name]), name
                # It quotes texts for a shell, with this quote.
                assert "'" not in str(value), name
    for connection in sections["connections"]:
        # Else it skips the connection.
        assert connection["conn_id"]
        assert connection["conn_type"]
        # Of a mapping it takes texts alone, or nothing, without a word.
        assert isinstance(json.loads(connection["conn_extra"]), dict)
    for pool in sections["pools"]:
        # It writes the name into a command as it is, and skips a pool of 0 slots.
        assert pool["pool_name"].isidentifier()
        assert pool["pool_slot"] > 0
