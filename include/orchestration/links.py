"""Addresses that a message takes a person to."""

from __future__ import annotations

from urllib.parse import quote

from airflow.sdk import conf


def run_url(dag_id: str, run_id: str) -> str:
    """Return the page of a run in the Airflow UI."""
    base = conf.get("api", "base_url", fallback="http://localhost:8080").rstrip("/")
    return f"{base}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
