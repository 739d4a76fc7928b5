"""What lets one Airflow carry a thousand models is set wherever this repository starts one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.configuration import conf

from include.local_airflow.environment import CAPACITY_SETTINGS

ROOT = Path(__file__).resolve().parents[2]


def compose() -> dict[str, str]:
    """Return what every service of the compose stack knows."""
    file: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
    found: dict[str, str] = file["x-airflow-environment"]
    return found


def helm() -> dict[str, str]:
    """Return what every pod of the chart knows."""
    values = yaml.safe_load((ROOT / "deploy" / "helm" / "values.yaml").read_text())
    return {item["name"]: item["value"] for item in values["env"]}


@pytest.mark.parametrize("given", [compose(), helm()], ids=["compose", "helm"])
def test_each_deployment_has_the_settings_of_make_run(given: dict[str, str]) -> None:
    """With the same values."""
    assert {name: given.get(name) for name in CAPACITY_SETTINGS} == CAPACITY_SETTINGS


@pytest.mark.parametrize("name", CAPACITY_SETTINGS)
def test_each_is_a_setting_of_airflows(name: str) -> None:
    """A slip in a variable's name would be ignored in silence."""
    _, section, option = name.lower().split("__")
    assert option in conf.configuration_description[section]["options"]
