"""Secrets that could not be masked, or are placeholders, are refused before anything starts."""

from __future__ import annotations

import json

import pytest
from airflow.sdk import Connection

from include.orchestration.runtime.weak_secrets import weak_fields, weakness


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("airflow", "well-known word"),
        ("Airflow123", "well-known word"),
        ("change-me", "well-known word"),
        ("hunter2", "under 8"),
        ("<your-password>", "placeholder"),
        ("T…/B…/…", "placeholder"),
        ("${SLACK_WEBHOOK}", "placeholder"),
        ("your_secret_here", "placeholder"),
    ],
)
def test_what_is_no_secret_is_refused(secret: str, says: str) -> None:
    """What is wrong is said, and nothing of the secret."""
    problem = weakness(secret)
    assert problem is not None
    assert says in problem
    assert secret not in problem


@pytest.mark.parametrize("secret", ["hunter22", "T00000000/B00000000/demo", "0f" * 12])
def test_a_secret_is_taken(secret: str) -> None:
    """Eight characters that nobody guesses."""
    assert weakness(secret) is None


def test_each_field_of_a_connection_is_looked_at() -> None:
    """Passwords and secrets of extras, options within them too; names and paths are none."""
    extra = {
        "uri": "file:///x",
        "region_name": "eu",
        "aws_session_token": "short",
        "options": {
            "AZURE_STORAGE_ACCOUNT_KEY": "airflow",
            "GOOGLE_SERVICE_ACCOUNT_KEY": "/k.json",
        },
    }
    connection = Connection(
        conn_id="store", conn_type="generic", password="abc", extra=json.dumps(extra)
    )
    assert [field.split()[1] for field in weak_fields(connection)] == [
        "password",
        "extra.aws_session_token",
        "extra.options.AZURE_STORAGE_ACCOUNT_KEY",
    ]
