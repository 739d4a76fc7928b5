"""Airflow's REST API as a user sees and changes it: for the demonstration, tests and benchmarks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx

from include.retraining.exceptions import AirflowRefused
from include.retraining.watch.airflow_api import PAGE, AirflowApi

REQUEST_SECONDS = 60.0
LOCKED_SECONDS = 60.0
"""How long to repeat what a locked SQLite refuses: its writers wait for each other."""
LOCKED_ANSWERS: dict[int, str] = {
    HTTPStatus.INTERNAL_SERVER_ERROR: "Database error",
    HTTPStatus.SERVICE_UNAVAILABLE: "Database is locked",
}
"""How the API says so."""
RUN_ENDED = frozenset({"success", "failed"})


class NotThere(AirflowRefused):
    """Airflow knows no such thing (404)."""


class AirflowSession(AirflowApi):
    """One Airflow as one user.

    Raises in all its methods:
        AirflowUnreachable: when Airflow does not answer.
        AirflowRefused: when it answers with an error, with the text of it.
    """

    def __init__(self, url: str, username: str, password: str) -> None:
        """Prepare a client; the first request logs in.

        Args:
            url: the API server's address without a path.
            username: a user of Airflow's own, of SimpleAuth or FAB.
            password: that user's password.
        """
        super().__init__(url, timeout_seconds=REQUEST_SECONDS, uses_proxy=False)
        self._login = {"username": username, "password": password}

    def request(self, method: str, path: str, **arguments: Any) -> Any:
        """Send one request below `/api/v2` and return the answer's JSON (None when it has none)."""
        return self._request(method, path, **arguments)

    def token(self) -> str:
        """Log in and return a token, for others to use."""
        answer = super()._send("POST", "/auth/token", json=self._login)
        if not answer.is_success:
            raise self._refusal(answer, "/auth/token")
        token = str(answer.json()["access_token"])
        self._client.headers["Authorization"] = f"Bearer {token}"
        return token

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        if "Authorization" not in self._client.headers:
            self.token()
        deadline = time.monotonic() + LOCKED_SECONDS
        while True:
            answer = super()._send(method, path, **arguments)
            if not _is_locked(answer) or time.monotonic() > deadline:
                return answer
            time.sleep(0.5)

    def _refusal(self, answer: httpx.Response, path: str) -> AirflowRefused:
        kind = NotThere if answer.status_code == HTTPStatus.NOT_FOUND else AirflowRefused
        text = " ".join(answer.text.split())[:500]
        return kind(f"{answer.request.method} {path}: {answer.status_code}: {text}")

    def dag(self, dag_id: str) -> dict[str, Any] | None:
        """Return a DAG as Airflow knows it, or None while it has not been parsed yet."""
        try:
            return dict(self.request("GET", f"/dags/{dag_id}"))
        except NotThere:
            return None

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
        instances = self.request("GET", path, params={"limit": PAGE})["task_instances"]
        instances.sort(key=lambda item: (item["start_date"] is None, item["start_date"] or ""))
        return {item["task_id"]: item for item in instances}

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
        """Mark a run `success` or `failed`, as a user does in the UI."""
        self.request("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", json={"state": state})

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Mark a task `success` or `failed`, as a user does in the UI."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        self.request("PATCH", path, json={"new_state": state})

    def overwrite(self, kind: str, entities: list[dict[str, Any]]) -> None:
        """Create or replace `connections`, `pools` or `variables`.

        Raises:
            AirflowRefused: naming what was refused.
        """
        action = {"action": "create", "entities": entities, "action_on_existence": "overwrite"}
        answer = self.request("PATCH", f"/{kind}", json={"actions": [action]})
        errors = (answer.get("create") or {}).get("errors") or []
        if errors:
            raise AirflowRefused(
                f"{kind}: " + "; ".join(str(item.get("error", item)) for item in errors)
            )


def _is_locked(answer: httpx.Response) -> bool:
    """Return whether SQLite was locked by another part of Airflow: nothing was written then."""
    words = LOCKED_ANSWERS.get(answer.status_code)
    return words is not None and words in answer.text
