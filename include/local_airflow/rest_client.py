"""A small client of Airflow's REST API (v2), for the demonstration, tests and benchmarks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

import httpx

from include.local_airflow.errors import ApiRefused, NoAnswer

REQUEST_SECONDS = 60.0
LOCKED_SECONDS = 60.0
"""How long to repeat what a locked SQLite refuses: its writers wait for each other."""
DATABASE_ERROR = "Database error"
"""How the API says so."""
PAGE = 100
RUN_ENDED = frozenset({"success", "failed"})


class AirflowApi:
    """Talks to one Airflow as one user."""

    def __init__(self, url: str, username: str, password: str) -> None:
        """Prepare a client; the first request logs in.

        Args:
            url: the API server's address without a path.
            username: a user of Airflow's own, of SimpleAuth or FAB.
            password: that user's password.
        """
        self._login = {"username": username, "password": password}
        # Loopback needs no proxy, whatever the user's shell says.
        self._client = httpx.Client(base_url=url, timeout=REQUEST_SECONDS, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def request(self, method: str, path: str, **arguments: Any) -> Any:
        """Send one request below `/api/v2` and return the answer's JSON (None when it has none).

        Raises:
            ApiRefused: when Airflow does not answer, or answers with an error.
        """
        try:
            if "Authorization" not in self._client.headers:
                self._log_in()
            answer = self._client.request(method, f"/api/v2{path}", **arguments)
            deadline = time.monotonic() + LOCKED_SECONDS
            while _is_locked(answer) and time.monotonic() < deadline:
                time.sleep(0.5)
                answer = self._client.request(method, f"/api/v2{path}", **arguments)
        except httpx.HTTPError as error:
            raise NoAnswer(f"{method} {path}: Airflow does not answer: {error!r}") from error
        return _content(answer)

    def token(self) -> str:
        """Log in and return a token, for others to use.

        Raises:
            ApiRefused: when Airflow does not answer, or refuses the login.
        """
        try:
            return self._log_in()
        except httpx.HTTPError as error:
            raise ApiRefused(f"POST /auth/token: Airflow does not answer: {error!r}") from error

    def _log_in(self) -> str:
        answer = self._client.post("/auth/token", json=self._login)
        token = str(_content(answer)["access_token"])
        self._client.headers["Authorization"] = f"Bearer {token}"
        return token

    def dag(self, dag_id: str) -> dict[str, Any] | None:
        """Return a DAG as Airflow knows it, or None while it has not been parsed yet."""
        try:
            return dict(self.request("GET", f"/dags/{dag_id}"))
        except NotThere:
            return None

    def import_errors(self, since: datetime | None = None) -> list[str]:
        """Return why DAG files cannot be parsed, a text per file.

        Args:
            since: leave out what was found before.
        """
        found = self.request("GET", "/importErrors", params={"limit": PAGE})["import_errors"]
        return [
            f"{item['filename']}: {item['stack_trace'].strip()}"
            for item in found
            if since is None or datetime.fromisoformat(item["timestamp"]) >= since
        ]

    def set_paused(self, dag_id: str, *, is_paused: bool) -> None:
        """Pause or unpause a DAG."""
        self.request("PATCH", f"/dags/{dag_id}", json={"is_paused": is_paused})

    def trigger(
        self, dag_id: str, conf: Mapping[str, Any] | None = None, *, run_id: str | None = None
    ) -> str:
        """Start a run and return its id.

        Args:
            dag_id: the DAG, which must be unpaused for the run to go on.
            conf: the trigger form's values.
            run_id: the id to give it; Airflow makes one when it is not given.
        """
        body: dict[str, Any] = {"logical_date": None, "conf": dict(conf or {})}
        if run_id is not None:
            body["dag_run_id"] = run_id
        return str(self.request("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return one run."""
        return dict(self.request("GET", f"/dags/{dag_id}/dagRuns/{run_id}"))

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return a DAG's runs, newest first (at most 100)."""
        params = {"limit": PAGE, "order_by": "-run_after"}
        return list(self.request("GET", f"/dags/{dag_id}/dagRuns", params=params)["dag_runs"])

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Return the task instances of a run by task id, in the order in which they started."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found = self.request("GET", path, params={"limit": PAGE})["task_instances"]
        found.sort(key=lambda item: (item["start_date"] is None, item["start_date"] or ""))
        return {item["task_id"]: item for item in found}

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """Return what a task handed over under a key, or None."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        try:
            return self.request("GET", path, params={"deserialize": True})["value"]
        except NotThere:
            return None

    def log(self, dag_id: str, run_id: str, task_id: str, *, attempt: int = 1) -> str:
        """Return a task's log as text, a line per event."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        content = self.request(
            "GET", path, params={"full_content": True}, headers={"Accept": "application/json"}
        )["content"]
        return "\n".join(
            str(item.get("event", item)) if isinstance(item, dict) else str(item)
            for item in content
        )

    def clear(self, dag_id: str, run_id: str, task_ids: list[str] | None = None) -> None:
        """Clear tasks of a run, all of them when none are named, and what depends on them."""
        body: dict[str, Any] = {
            "dry_run": False,
            "dag_run_id": run_id,
            "only_failed": False,
            "include_downstream": True,
            "reset_dag_runs": True,
        }
        if task_ids is not None:
            body["task_ids"] = task_ids
        self.request("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a run `success` or `failed`, as a person does in the UI."""
        self.request("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", json={"state": state})

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Mark a task `success` or `failed`, as a person does in the UI."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        self.request("PATCH", path, json={"new_state": state})

    def overwrite(self, kind: str, entities: list[dict[str, Any]]) -> None:
        """Create or replace `connections`, `pools` or `variables`.

        Raises:
            ApiRefused: naming what was refused.
        """
        action = {"action": "create", "entities": entities, "action_on_existence": "overwrite"}
        answer = self.request("PATCH", f"/{kind}", json={"actions": [action]})
        errors = (answer.get("create") or {}).get("errors") or []
        if errors:
            raise ApiRefused(
                f"{kind}: " + "; ".join(str(item.get("error", item)) for item in errors)
            )


class NotThere(ApiRefused):
    """Airflow knows no such thing (404)."""


def _content(answer: httpx.Response) -> Any:
    """Return an answer's JSON, or raise what it says in one line."""
    if answer.is_error:
        kind = NotThere if answer.status_code == httpx.codes.NOT_FOUND else ApiRefused
        text = " ".join(answer.text.split())[:500]
        request = answer.request
        raise kind(f"{request.method} {request.url.path}: {answer.status_code}: {text}")
    return answer.json() if answer.content else None


def _is_locked(answer: httpx.Response) -> bool:
    """Return whether SQLite was locked by another part of Airflow: nothing was written then."""
    return answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR and DATABASE_ERROR in answer.text
