"""The files for Kubernetes name settings, classes and commands that there are."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.configuration import conf
from airflow.providers.git.bundles.git import GitDagBundle

from include.orchestration.upkeep.pods import CLEANER_ACCOUNT, DATABASE_SECRET
from include.orchestration.upkeep.trim_database import DAYS
from include.retraining.watch.external import Settings
from tests.support.command_line import parse

HELM = Path(__file__).resolve().parents[2] / "deploy" / "helm"
SETTING = re.compile(r"AIRFLOW__([A-Z_]+?)__([A-Z_]+)")


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    """The values for the official chart."""
    found: dict[str, Any] = yaml.safe_load((HELM / "values.yaml").read_text())
    return found


@pytest.fixture(scope="module")
def watch() -> dict[str, Any]:
    """The container of the watch outside of Airflow."""
    manifest = yaml.safe_load((HELM / "watch.yaml").read_text())
    pod = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    container: dict[str, Any] = pod["containers"][0]
    return container


def environment(values: dict[str, Any]) -> dict[str, str]:
    """The variables that are given to every process of Airflow's."""
    return {item["name"]: item["value"] for item in values["env"]}


def test_every_setting_is_one_of_airflows(values: dict[str, Any]) -> None:
    """A slip in a variable's name would be ignored in silence."""
    known = conf.configuration_description
    names = [SETTING.fullmatch(name) for name in environment(values) if "__" in name]
    assert len(names) >= 5
    for match in names:
        assert match is not None
        section, option = match[1].lower(), match[2].lower()
        assert option in known[section]["options"], f"[{section}] {option}"


def test_the_whole_repository_is_the_bundle(values: dict[str, Any]) -> None:
    """The bundle takes these arguments, has no subfolder, and its connection is handed over."""
    [bundle] = json.loads(environment(values)["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
    assert bundle["classpath"] == f"{GitDagBundle.__module__}.{GitDagBundle.__qualname__}"
    arguments = bundle["kwargs"]
    allowed = {*inspect.signature(GitDagBundle).parameters, "refresh_interval"}
    assert set(arguments) <= allowed
    assert "subdir" not in arguments
    handed_over = {item["envName"] for item in values["secret"]}
    assert f"AIRFLOW_CONN_{arguments['git_conn_id'].upper()}" in handed_over
    assert {"AIRFLOW_CONN_STORE", "AIRFLOW_CONN_SLACK_ALERTS"} <= handed_over


def test_the_chart_makes_no_user_and_no_key_of_its_own(values: dict[str, Any]) -> None:
    """No login that everybody knows, no key that is new at each upgrade."""
    assert values["createUserJob"] == {"enabled": False}
    for name in ("fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName"):
        assert values[name]
    assert values["data"]["metadataSecretName"]


def test_the_watch_gets_what_it_asks_for(watch: dict[str, Any]) -> None:
    """Its command is one of ours, and no variable is missing or spelt otherwise."""
    parse(shlex.join(watch["args"]))
    given = {item["name"]: item.get("value", "https://example.org/x") for item in watch["env"]}
    settings = Settings.of(given)
    assert settings.store == "s3://BUCKET/PREFIX"
    assert settings.repository == "https://github.com/ORG/REPO/blob/main"
    secret = {item["name"] for item in watch["env"] if "valueFrom" in item}
    assert secret == {"AIRFLOW_API_TOKEN", "SLACK_WEBHOOK_URL"}


def test_the_database_is_given_to_the_task_that_trims_it_alone(values: dict[str, Any]) -> None:
    """By the name of the Secret that Airflow itself has it from, and by no connection for all."""
    assert values["enableBuiltInSecretEnvVars"] == {"AIRFLOW_CONN_AIRFLOW_DB": False}
    assert environment(values)[DATABASE_SECRET] == values["data"]["metadataSecretName"]
    assert environment(values)[CLEANER_ACCOUNT]
    assert environment(values)[DAYS] == "90"
    assert "AIRFLOW_CONN_AIRFLOW_DB" not in {item["envName"] for item in values["secret"]}
