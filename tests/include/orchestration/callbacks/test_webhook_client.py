"""Our client of a Slack connection is the one that the provider's hook makes."""

from __future__ import annotations

import json

import pytest
from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook
from airflow.sdk import Connection

from include.orchestration.callbacks.slack import webhook_client
from include.retraining.exceptions import NotSent


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "https://hooks.slack.com/services/T/B/X"},
        {"password": " T/B/X "},
        {"host": "https://hooks.slack.com/services/", "password": "/T/B/X"},
        {"host": "slack.example.org/services", "password": "T/B/X"},
        {"schema": "http", "host": "localhost:8080", "password": "T/B/X"},
        {"password": "T/B/X", "extra": {"proxy": "http://proxy:3128", "timeout": 42}},
        {"password": "T/B/X", "extra": {"extra__slackwebhook__proxy": "http://proxy:3128"}},
    ],
)
def test_it_has_the_address_and_the_proxy_of_the_hooks(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, object]
) -> None:
    """However a connection is written, both post to the same place in the same way."""
    connection = json.dumps({"conn_type": "slackwebhook", **fields})
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_ALERTS", connection)
    hook = SlackWebhookHook(slack_webhook_conn_id="slack_alerts", timeout=10, retry_handlers=[])
    client = webhook_client(Connection.get("slack_alerts"))
    for name in ("url", "proxy", "timeout", "ssl", "default_headers", "retry_handlers"):
        assert getattr(client, name) == getattr(hook.client, name), name


def test_a_connection_without_a_webhook_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection whose password is empty is refused as one that is not there."""
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_ALERTS", '{"conn_type": "slackwebhook"}')
    with pytest.raises(NotSent, match="password") as caught:
        webhook_client(Connection.get("slack_alerts"))
    assert caught.value.is_revoked
