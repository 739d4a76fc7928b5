"""The settings of this process's Airflow, for tests of its connections."""

from __future__ import annotations

import json

import pytest
from airflow.sdk.configuration import clear_secrets_backends_cache

from tests.conftest import S3_OPTIONS

SECRETS_MANAGER = "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"


class Settings:
    """What this process's Airflow is set to; the secrets backends are made anew with it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Change nothing yet."""
        self._monkeypatch = monkeypatch
        self._given: set[str] = set()

    def set(self, settings: dict[str, str]) -> None:
        """Set these and no connection but theirs."""
        for name in (*self._given, "AIRFLOW_CONN_STORE", "AIRFLOW_CONN_SLACK_ALERTS"):
            self._monkeypatch.delenv(name, raising=False)
        for name, value in settings.items():
            self._monkeypatch.setenv(name, value)
        self._given = set(settings)
        clear_secrets_backends_cache()


def secrets_manager(endpoint: str, prefix: str) -> dict[str, str]:
    """Return the settings that let an Airflow look in AWS Secrets Manager first."""
    kwargs = {
        "connections_prefix": prefix,
        "connections_lookup_pattern": "^(store|slack_.*)$",
        "variables_prefix": None,
        "config_prefix": None,
        "region_name": "us-east-1",
        "endpoint_url": endpoint,
    }
    return {
        "AIRFLOW__SECRETS__BACKEND": SECRETS_MANAGER,
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(kwargs),
        "AWS_ACCESS_KEY_ID": S3_OPTIONS["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": S3_OPTIONS["AWS_SECRET_ACCESS_KEY"],
        "AWS_MAX_ATTEMPTS": "2",
    }
