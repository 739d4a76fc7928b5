"""Addresses within Airflow's UI."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from include.pages import urls


def test_addresses_keep_the_path_that_airflow_is_served_below(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They name no host, so that they work by whatever name a reader came in."""
    assert (
        urls.run_link("retrain_a", "manual__1+00:00") == "/dags/retrain_a/runs/manual__1%2B00%3A00"
    )
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.org/team/airflow/")
    assert urls.dag_link("retrain_a") == "/team/airflow/dags/retrain_a"


def test_a_trigger_link_holds_the_fields() -> None:
    """As JSON, whatever is in them."""
    fields = {"model": "a", "version": "<b>&", "dry_run": True, "generation": 3}
    parts = urlsplit(urls.trigger_link("rollback_model", fields))
    assert parts.path == "/dags/rollback_model"
    assert json.loads(parse_qs(parts.query)["fill"][0]) == fields


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://github.com/org/repo/blob/main", "https://github.com/org/repo/blob/{sha}/x.py"),
        ("https://gitlab.com/a/b/-/blob/main/", "https://gitlab.com/a/b/-/blob/{sha}/x.py"),
        ("https://example.org/wiki", None),
        ("", None),
    ],
)
def test_code_is_linked_at_its_commit(
    monkeypatch: pytest.MonkeyPatch, address: str, expected: str | None
) -> None:
    """Where the repository's address says how; a word that is no commit leads nowhere."""
    monkeypatch.setenv("RETRAINING_REPOSITORY_URL", address)
    sha = "6fbc31a9c0de4be2a5f07d1c9b8e3a4455667788"
    assert urls.code_link(sha, "x.py") == (expected and expected.format(sha=sha))
    assert urls.code_link("../../evil", "x.py") is None


def test_runbooks_are_linked_only_over_https(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything else could be a script's address."""
    monkeypatch.setenv("RETRAINING_REPOSITORY_URL", "https://github.com/org/repo/blob/main")
    assert urls.runbook_link("late") == (
        "https://github.com/org/repo/blob/main/docs/runbooks/late.md"
    )
    monkeypatch.setenv("RETRAINING_REPOSITORY_URL", "javascript:alert(1)//blob/main")
    assert urls.runbook_link("late") is None
