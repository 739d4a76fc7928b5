"""Addresses that messages link to."""

from __future__ import annotations

import os
from urllib.parse import quote

from airflow.sdk import Context, conf

from include.retraining.config.repository import REPOSITORY_VARIABLE


def airflow_url() -> str:
    """Return the address of this Airflow's UI."""
    return str(conf.get("api", "base_url", fallback="http://localhost:8080")).rstrip("/")


def dag_url(dag_id: str) -> str:
    """Return the page of a DAG in the Airflow UI."""
    return f"{airflow_url()}/dags/{quote(dag_id, safe='')}"


def run_url(dag_id: str, run_id: str) -> str:
    """Return the page of a run in the Airflow UI."""
    return f"{dag_url(dag_id)}/runs/{quote(run_id, safe='')}"


def answer_url(dag_id: str, run_id: str, task_id: str) -> str:
    """Return the page of the Airflow UI on which a waiting task is answered."""
    return f"{run_url(dag_id, run_id)}/tasks/{quote(task_id, safe='')}/required_actions"


def repository_url(context: Context) -> str | None:
    """Return the address of this repository's files, for links to runbooks; None where unknown.

    It is what `RETRAINING_REPOSITORY_URL` says, for example `https://github.com/org/repo/blob/main`,
    or that of the run's own commit, where its bundle has a `view_url_template`.
    """
    configured = os.environ.get(REPOSITORY_VARIABLE)
    if configured:
        return configured.rstrip("/")
    bundle = getattr(context.get("ti"), "bundle_instance", None)
    version = getattr(bundle, "version", None)
    template = getattr(bundle, "view_url_template", lambda: None)()
    if not template or not version:
        return None
    try:
        return str(template.format(version=version, subdir="")).rstrip("/")
    except (KeyError, IndexError, ValueError):  # a placeholder of another bundle's
        return None
