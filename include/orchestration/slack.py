"""The one way to Slack: an incoming webhook, named by an Airflow connection."""

from __future__ import annotations

import logging

TIMEOUT_SECONDS = 10


def send_to_slack(text: str, connection: str) -> None:
    """Post a text through a `slackwebhook` connection.

    The hook is called directly: a notifier would render the text as a template.

    Raises:
        AirflowNotFoundException: when there is no such connection.
        Exception: whatever Slack, the network or the hook came up with.
    """
    from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook

    # Its retry lines hold the webhook's address, which is a secret, and not every stream is masked.
    logging.getLogger("slack_sdk").setLevel(logging.ERROR)
    SlackWebhookHook(slack_webhook_conn_id=connection, timeout=TIMEOUT_SECONDS).send(text=text)
