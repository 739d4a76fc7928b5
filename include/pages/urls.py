"""Addresses within Airflow's UI, without a host: a reader came in by a name that works."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit

from include.orchestration.runtime.urls import (
    airflow_url,
    answer_url,
    dag_url,
    run_url,
)
from include.pages.airflow_state import APPROVAL_TASK
from include.retraining.config.repository import REPOSITORY_VARIABLE

FILL = "fill"
"""The query by which `static/fill_form.js` opens a DAG's trigger form and fills it in."""
_BLOB = re.compile(r"(?P<head>.+/(?:blob|tree|src/commit))/[^/]+")


def airflow_path() -> str:
    """Return the path below which Airflow's UI is served, empty or like `/airflow`."""
    return urlsplit(airflow_url()).path.rstrip("/")


def dag_link(dag_id: str) -> str:
    """Return the page of a DAG."""
    return urlsplit(dag_url(dag_id)).path


def run_link(dag_id: str, run_id: str) -> str:
    """Return the page of a run."""
    return urlsplit(run_url(dag_id, run_id)).path


def task_link(dag_id: str, run_id: str, task_id: str) -> str:
    """Return the page of a task, with its log."""
    return f"{run_link(dag_id, run_id)}/tasks/{quote(task_id, safe='')}"


def approval_link(dag_id: str, run_id: str) -> str:
    """Return the page of a manual approval."""
    return urlsplit(answer_url(dag_id, run_id, APPROVAL_TASK)).path


def trigger_link(dag_id: str, fields: Mapping[str, str | bool | int]) -> str:
    """Return the page of a DAG, asking for its trigger form with these fields filled in."""
    return f"{dag_link(dag_id)}?{urlencode({FILL: json.dumps(dict(fields))})}"


def code_link(sha: str, path: str) -> str | None:
    """Return where a file can be read as it was in a commit; None where that is not known.

    `RETRAINING_REPOSITORY_URL` names a branch, `https://github.com/org/repo/blob/main`: the commit
    takes its place.
    """
    match = _BLOB.fullmatch(os.environ.get(REPOSITORY_VARIABLE, "").rstrip("/"))
    if match is None or not re.fullmatch(r"[0-9a-f]{7,64}", sha):
        return None
    return f"{match['head']}/{sha}/{path}"


def runbook_link(page: str) -> str | None:
    """Return the page of a runbook; None where the repository's address is not known."""
    address = os.environ.get(REPOSITORY_VARIABLE, "").rstrip("/")
    return f"{address}/docs/runbooks/{page}.md" if address.startswith("https://") else None
