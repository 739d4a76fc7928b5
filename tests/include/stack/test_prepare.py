"""What the stack's first service takes from `airflow_settings.yaml`, and what it needs."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from include.local_airflow.demo.store import store_connection
from include.local_airflow.errors import LocalAirflowError
from include.stack.prepare import prepare, settings_to_apply
from tests.support.repository_copy import add_model, copy_repository

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


def test_a_password_that_everybody_knows_is_refused() -> None:
    """It is not shown, and nothing is touched."""
    given = {"RETRAINING_STORE": "file:///x", "ADMIN_PASSWORD": "airflow", "WATCHDOG_PASSWORD": "b"}
    with pytest.raises(LocalAirflowError, match="ADMIN_PASSWORD is a well-known word"):
        prepare(given)


def test_a_connection_that_a_model_lacks_is_named_and_the_stack_does_not_start(
    tmp_path: Path,
) -> None:
    """The service ends with 1, so what depends on it does not start; all else is prepared."""
    root, home = copy_repository(tmp_path / "repository"), tmp_path / "airflow"
    add_model(root, "story", values={"alerts": {"connection": "slack_story"}})
    done = subprocess.run(
        [sys.executable, "-m", "include.stack.prepare"],
        cwd=root,
        env={
            "PATH": os.environ["PATH"],
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__AUTH_MANAGER": (
                "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
            ),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
            "AIRFLOW_CONN_STORE": store_connection((tmp_path / "store").as_uri(), {}),
            "RETRAINING_STORE": (tmp_path / "store").as_uri(),
            "ADMIN_PASSWORD": "correct horse",
            "WATCHDOG_PASSWORD": "battery staple",
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1
    assert "is a store" in done.stdout
    assert "slack_story: it is not in " in done.stderr
    assert "include/models/story.yaml: alerts.connection" in done.stderr
    assert "\nslack_alerts: there\n" in done.stderr
    with closing(sqlite3.connect(home / "airflow.db")) as database:
        rights = database.execute(
            "SELECT r.name FROM ab_role r"
            " JOIN ab_permission_view_role pr ON pr.role_id = r.id"
            " JOIN ab_permission_view pv ON pv.id = pr.permission_view_id"
            " JOIN ab_permission p ON p.id = pv.permission_id"
            " JOIN ab_view_menu m ON m.id = pv.view_menu_id"
            " WHERE p.name = 'can_read' AND m.name = 'Plugins'"
        )
        assert {"Viewer", "User"} <= {role for (role,) in rights}
