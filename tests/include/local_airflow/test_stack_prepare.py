"""What the stack's first service takes from `airflow_settings.yaml`, and what it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.local_airflow.errors import LocalAirflowError
from include.local_airflow.stack_prepare import prepare, settings_to_apply

FILE = """
airflow:
  connections:
    - {conn_id: slack_alerts, conn_type: slackwebhook, conn_password: T/B/X}
    - {conn_id: aws, conn_type: aws, conn_extra: {region_name: eu-west-3}}
  pools: [{pool_name: training, pool_slot: 2}]
  variables: [{variable_name: colour, variable_value: blue}]
"""


def test_what_the_environment_gives_is_left_out(tmp_path: Path) -> None:
    """A connection of the environment would win over one in the database: it is not made."""
    file = tmp_path / "airflow_settings.yaml"
    file.write_text(FILE)
    assert settings_to_apply(file, {"AIRFLOW_CONN_SLACK_ALERTS": "{}"}) == {
        "connections": {"aws": {"conn_type": "aws", "extra": '{"region_name": "eu-west-3"}'}},
        "pools": {"training": {"slots": 2, "description": ""}},
        "variables": {"colour": "blue"},
    }


def test_nothing_is_done_while_something_is_missing() -> None:
    """Every missing variable is named, before the database is touched."""
    with pytest.raises(LocalAirflowError, match="set RETRAINING_STORE, WATCHDOG_PASSWORD"):
        prepare({"ADMIN_PASSWORD": "x"})
