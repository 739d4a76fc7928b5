"""Airflow's UI over a store of months: the API server, its DAGs, people of each role, a browser.

No scheduler runs: whatever a test triggers stays queued, and the store as it is. People and roles
are those of the FAB auth manager, as in a deployment.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Playwright

from include.local_airflow.cluster import LocalAirflow
from include.local_airflow.demo.store import store_connection
from include.local_airflow.ports import free_port
from include.retraining.decisions.records import decisions
from include.retraining.store.layout import RunPaths, run_key
from include.retraining.store.object_store import Store
from include.stack.prepare import SEE_PAGES
from tests.support.fab_users import (
    ANSWER_SECONDS,
    FAB,
    answers,
    command,
    log_in,
    make_admin,
    make_role,
    make_user,
    stranger,
)
from tests.support.large_store import crowded_store
from tests.support.repository_copy import REPOSITORY

CHROMIUM = "/usr/bin/chromium"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SHIPPED = ("loan_approval", "diabetes_progression", "loan_approval_r")
"""The models whose DAGs are there; the store begins with them."""
ONE_MODEL = "one_model"
"""Somebody who may read the DAG of the second of them and no other."""
PEOPLE = {"user": "User", "viewer": "Viewer", ONE_MODEL: "Reader of one model"}
"""Beside `admin`, by their names, and each one's role."""
OF_ONE_MODEL = (
    ("can_read", "Website"),
    ("can_read", f"DAG:retrain_{SHIPPED[1]}"),
    ("can_read", "DAG Runs"),
)


@dataclass(frozen=True)
class Site:
    """What a test needs to look at the pages as somebody."""

    airflow: LocalAirflow
    store: Store
    password: str
    _tokens: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address of Airflow's UI."""
        return self.airflow.url

    def token(self, name: str) -> str:
        """Log somebody in, once."""
        if name not in self._tokens:
            self._tokens[name] = log_in(self.airflow, name, self.password)
        return self._tokens[name]

    def client(self, name: str | None) -> httpx.Client:
        """Return a client of somebody who is logged in; of a stranger for None."""
        made = stranger(self.airflow)
        if name is not None:
            made.headers["Authorization"] = f"Bearer {self.token(name)}"
        return made

    def context(self, browser: Browser, name: str, **options: Any) -> BrowserContext:
        """Return a browser's window of somebody who is logged in."""
        made = browser.new_context(**options)
        made.set_default_timeout(ANSWER_SECONDS * 1000)
        cookie = {"name": "_token", "value": self.token(name), "url": self.url}
        made.add_cookies([cookie])  # type: ignore[list-item]
        return made

    def run_with_record(self, model: str) -> str:
        """Make a run in Airflow that has decided, as the model's newest did, and return its id."""
        with self.client("admin") as admin:
            answer = admin.post(
                f"/api/v2/dags/retrain_{model}/dagRuns", json={"logical_date": None, "conf": {}}
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
def crowded_site(folder: Path) -> Iterator[Site]:
    """Start Airflow over a store of 50 models and 2,000 decisions, and end it again.

    Args:
        folder: an empty folder for everything.
    """
    store = crowded_store((folder / "store").as_uri(), first=SHIPPED)
    with site(folder / "airflow", store) as running:
        yield running


@contextmanager
def site(folder: Path, store: Store, root: Path = REPOSITORY) -> Iterator[Site]:
    """Start Airflow's API server over a store, and end it again.

    Args:
        folder: an empty folder for its database and logs.
        store: what the pages show.
        root: the repository, or a copy.
    """
    password = secrets.token_urlsafe(12)
    airflow = LocalAirflow(
        root,
        folder,
        port=free_port(),
        environment={
            **FAB,
            "AIRFLOW_CONN_STORE": store_connection(store.uri, {}),
            "RETRAINING_REPOSITORY_URL": "https://github.com/org/repo/blob/main",
            # Without a scheduler no run starts by itself, and the pages say when one would.
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        },
    )
    airflow.migrate()
    # Also what makes each DAG something that a role may be given a right on.
    command(airflow, "dags", "reserialize")
    command(airflow, *SEE_PAGES)
    try:
        airflow.start_component("api-server")
        make_admin(airflow, "admin", password)
        airflow.wait_for(lambda: answers(airflow), "API server", 600)
        running = Site(airflow, store, password)
        with running.client("admin") as admin:
            make_role(admin, PEOPLE[ONE_MODEL], OF_ONE_MODEL)
            for name, role in PEOPLE.items():
                make_user(admin, name, role, password)
        yield running
    finally:
        airflow.stop()


def launch(playwright: Playwright) -> Browser:
    """Start Debian's Chromium without a window."""
    return playwright.chromium.launch(
        executable_path=CHROMIUM, args=OPTIONS, timeout=ANSWER_SECONDS * 1000
    )
