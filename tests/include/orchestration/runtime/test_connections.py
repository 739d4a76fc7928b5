"""The connections of a task, through each of Airflow's own secrets backends."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.callbacks.channels import send_through
from include.orchestration.runtime.store import store_address
from include.retraining.exceptions import ConfigError, NotSent
from include.retraining.notifications.notice import Notice
from tests.support.airflow_settings import Settings, secrets_manager
from tests.support.vault_server import Vault, vault_server

CANARY = f"canary-{uuid.uuid4().hex}"
STORE = {
    "conn_type": "aws",
    "login": "AKIAIOSFODNN7EXAMPLE",
    "password": CANARY,
    "extra": {"uri": "s3://bucket/models", "region_name": "eu-west-1"},
}
OPTIONS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": CANARY,
    "AWS_REGION": "eu-west-1",
}


def problem(airflow: Settings, settings: dict[str, str]) -> str:
    """Return what is said when the connection `store` is not to be had."""
    airflow.set(settings)
    with pytest.raises(ConfigError) as error:
        store_address()
    assert CANARY not in str(error.value)
    return str(error.value)


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """This process's Airflow."""
    settings = Settings(monkeypatch)
    yield settings
    settings.set({})


@pytest.fixture
def vault() -> Iterator[Vault]:
    """A Vault on loopback with the store's connection in it."""
    with vault_server() as running:
        running.kv["connections/store"] = dict(STORE)
        yield running


@pytest.fixture
def aws(s3_endpoint: str) -> dict[str, str]:
    """Settings for AWS Secrets Manager on loopback, which asks it for these ids alone."""
    return secrets_manager(s3_endpoint, f"airflow-{uuid.uuid4().hex[:8]}")


def put_secret(settings: dict[str, str], conn_id: str, value: Any) -> None:
    """Put a connection where the settings look for it."""
    kwargs = json.loads(settings["AIRFLOW__SECRETS__BACKEND_KWARGS"])
    client = boto3.client(
        "secretsmanager",
        endpoint_url=kwargs["endpoint_url"],
        region_name=kwargs["region_name"],
        aws_access_key_id=settings["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
    )
    text = value if isinstance(value, str) else json.dumps(value)
    client.create_secret(Name=f"{kwargs['connections_prefix']}/{conn_id}", SecretString=text)


def test_the_environment_gives_the_store(airflow: Settings) -> None:
    """As JSON in AIRFLOW_CONN_STORE."""
    airflow.set({"AIRFLOW_CONN_STORE": json.dumps(STORE)})
    assert store_address() == ("s3://bucket/models", OPTIONS)


def test_aws_secrets_manager_gives_the_store(airflow: Settings, aws: dict[str, str]) -> None:
    """As JSON under the prefix; what does not match the pattern is not asked for."""
    put_secret(aws, "store", STORE)
    airflow.set(aws)
    assert store_address() == ("s3://bucket/models", OPTIONS)
    not_asked = json.loads(aws["AIRFLOW__SECRETS__BACKEND_KWARGS"])
    not_asked["connections_lookup_pattern"] = "^slack_.*$"
    said = problem(airflow, {**aws, "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(not_asked)})
    assert "there is no Airflow connection 'store'" in said


def test_vault_gives_the_store(airflow: Settings, vault: Vault) -> None:
    """By AppRole, from a KV store of version 2; nothing else is asked for."""
    airflow.set(vault.settings())
    assert store_address() == ("s3://bucket/models", OPTIONS)
    assert vault.asked_for == ["connections/store"]


@pytest.mark.parametrize("backend", ["environment", "aws", "vault"])
def test_each_backend_gives_the_webhook(
    backend: str, airflow: Settings, vault: Vault, aws: dict[str, str], tmp_path: Path
) -> None:
    """The message arrives in Slack."""
    notice = Notice(key="k", event="e", model="m", text="hello", created_at=datetime.now(UTC))
    with SlackReceiver(tmp_path / "slack.jsonl") as slack:
        connection = json.loads(slack.connection)
        settings = {"AIRFLOW_CONN_SLACK_ALERTS": slack.connection}
        if backend == "vault":
            vault.kv["connections/slack_alerts"] = connection
            settings = vault.settings()
        elif backend == "aws":
            put_secret(aws, "slack_alerts", connection)
            settings = aws
        airflow.set(settings)
        send_through(notice, ["slack_alerts"])
        assert len(slack.messages) == 1


@pytest.mark.fault("L04")
def test_a_missing_key_is_named(airflow: Settings, vault: Vault, aws: dict[str, str]) -> None:
    """Where it was looked for, and how to make it."""
    vault.kv.clear()
    said = problem(airflow, vault.settings())
    assert said.endswith("; it is not in HashiCorp Vault and the environment")
    assert problem(airflow, aws).endswith("; it is not in AWS Secrets Manager and the environment")
    assert problem(airflow, {}) == (
        "there is no Airflow connection 'store': create one whose extra holds "
        '{"uri": "s3://bucket/prefix"} (or file:///folder); it is not in the environment'
    )


@pytest.mark.fault("L04")
def test_a_backend_that_refuses_or_is_down_is_named(
    airflow: Settings, vault: Vault, aws: dict[str, str]
) -> None:
    """By what it answers, within seconds; Airflow itself says that there is no such connection."""
    started = time.monotonic()
    vault.policy = ("connections/other",)
    said = problem(airflow, vault.settings())
    assert said.startswith("there is no Airflow connection 'store'")
    assert said.endswith(
        "; HashiCorp Vault did not answer (Forbidden); it is not in the environment"
    )
    vault.is_sealed = True
    assert "HashiCorp Vault did not answer (VaultDown)" in problem(airflow, vault.settings())
    vault.is_sealed = False
    revoked = {**vault.settings(), "AIRFLOW__SECRETS__BACKEND_KWARG__SECRET_ID": "revoked"}
    assert "HashiCorp Vault did not answer (InvalidRequest)" in problem(airflow, revoked)
    away = json.loads(aws["AIRFLOW__SECRETS__BACKEND_KWARGS"])
    away["endpoint_url"] = "http://127.0.0.1:9"  # the discard port: nobody listens
    said = problem(airflow, {**aws, "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(away)})
    assert "AWS Secrets Manager did not answer (EndpointConnectionError)" in said
    assert time.monotonic() - started < 60


@pytest.mark.fault("L04")
def test_a_secret_that_cannot_be_read_is_not_shown(
    airflow: Settings, vault: Vault, aws: dict[str, str]
) -> None:
    """The id and the kind of the error, never a part of the value."""
    broken = f'{{"password": "{CANARY}"'
    put_secret(aws, "store", broken)
    assert "AWS Secrets Manager did not answer (JSONDecodeError)" in problem(airflow, aws)
    vault.kv["connections/store"] = {"conn_uri": broken}
    assert "HashiCorp Vault did not answer" in problem(airflow, vault.settings())


def test_a_webhook_without_a_password_is_told_from_a_missing_one(airflow: Settings) -> None:
    """The message says which of the two it is."""
    notice = Notice(key="k", event="e", model="m", text="hello", created_at=datetime.now(UTC))
    airflow.set({"AIRFLOW_CONN_SLACK_ALERTS": '{"conn_type": "slackwebhook"}'})
    with pytest.raises(NotSent, match="'slack_alerts' has no password"):
        send_through(notice, ["slack_alerts"])
    airflow.set({})
    with pytest.raises(NotSent, match=r"'slack_alerts': it is not in the environment"):
        send_through(notice, ["slack_alerts"])
