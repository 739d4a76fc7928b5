"""Airflow's UI over a store of months: the API server, its DAGs, people of each role, a browser.

No scheduler runs: whatever a test triggers stays queued, and the store as it is.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Playwright

from include.local_airflow.ports import free_port
from include.local_airflow.processes import LocalAirflow
from include.local_airflow.repository_copy import REPOSITORY
from include.local_airflow.stores import store_connection
from include.retraining.layout import RunPaths, run_key
from include.retraining.records import decisions
from include.retraining.storage import Store
from tests.crowded_store import DECISIONS, MODELS, crowded_store

CHROMIUM = "/usr/bin/chromium"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ROLES = ("admin", "user", "viewer")
SHIPPED = ("loan_approval", "diabetes_progression", "loan_approval_r")
"""The models whose DAGs are there; the store knows all of them, so that its models are the rows."""
ANSWER_SECONDS = 120
"""A busy machine answers late, and a wait ends when the answer is there."""


@dataclass(frozen=True)
class Site:
    """What a test needs to look at the pages as somebody."""

    airflow: LocalAirflow
    store: Store
    password: str

    @property
    def url(self) -> str:
        """The address of Airflow's UI."""
        return self.airflow.url

    def token(self, role: str) -> str:
        """Log the user of a role in."""
        body = {"username": role, "password": self.password}
        answer = httpx.post(
            f"{self.url}/auth/token", json=body, timeout=ANSWER_SECONDS, trust_env=False
        )
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def context(self, browser: Browser, role: str | None, **options: Any) -> BrowserContext:
        """Return a browser's window of somebody who is logged in; of a stranger for None."""
        made = browser.new_context(**options)
        made.set_default_timeout(ANSWER_SECONDS * 1000)
        if role is not None:
            cookie = {"name": "_token", "value": self.token(role), "url": self.url}
            made.add_cookies([cookie])  # type: ignore[list-item]
        return made

    def run_with_record(self, model: str) -> str:
        """Make a run in Airflow that has decided, as the model's newest did, and return its id."""
        answer = httpx.post(
            f"{self.url}/api/v2/dags/retrain_{model}/dagRuns",
            json={"logical_date": None, "conf": {}},
            headers={"Authorization": f"Bearer {self.token('admin')}"},
            timeout=ANSWER_SECONDS,
            trust_env=False,
        )
        answer.raise_for_status()
        run = answer.json()
        record = next(one for one in decisions(self.store, model) if one.verdict is not None)
        due = record.run_after.fromisoformat(run["run_after"].replace("Z", "+00:00"))
        paths = RunPaths(model, run_key(run["dag_run_id"], due))
        copied = record.model_copy(
            update={"run_id": run["dag_run_id"], "run": paths.run, "run_after": due}
        )
        self.store.write(paths.decision(0), copied.to_bytes())
        return str(run["dag_run_id"])


@contextmanager
def site(folder: Path, *, models: int = MODELS, decisions: int = DECISIONS) -> Iterator[Site]:
    """Start Airflow's API server over a crowded store, and end it again.

    Args:
        folder: an empty folder for everything.
        models: how many.
        decisions: of all of them together.
    """
    store = crowded_store(
        (folder / "store").as_uri(), models=models, decisions=decisions, first=SHIPPED
    )
    password = secrets.token_urlsafe(12)
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps(dict.fromkeys(ROLES, password)), encoding="utf-8")
    airflow = LocalAirflow(
        REPOSITORY,
        folder / "airflow",
        port=free_port(),
        environment={
            "AIRFLOW_CONN_STORE": store_connection(store.uri, {}),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{r}:{r}" for r in ROLES),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "RETRAINING_REPOSITORY_URL": "https://github.com/org/repo/blob/main",
        },
    )
    airflow.log_folder.mkdir(parents=True)
    for words in (("db", "migrate"), ("dags", "reserialize")):
        subprocess.run(
            [sys.executable, "-P", "-m", "airflow", *words],
            cwd=airflow.home,
            env=airflow.environment,
            check=True,
            capture_output=True,
        )
    try:
        airflow.start_component("api-server")
        airflow.wait_for(lambda: _answers(airflow), "API server", 600)
        yield Site(airflow, store, password)
    finally:
        airflow.stop()


def launch(playwright: Playwright) -> Browser:
    """Start Debian's Chromium without a window."""
    return playwright.chromium.launch(
        executable_path=CHROMIUM, args=OPTIONS, timeout=ANSWER_SECONDS * 1000
    )


def _answers(airflow: LocalAirflow) -> bool:
    try:
        answer = httpx.get(f"{airflow.url}/api/v2/version", timeout=10, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.is_success
