"""Airflow's REST API (v2) from outside: the connection, its errors, and what the watch reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import httpx

from include.retraining.exceptions import AirflowRefused, AirflowUnreachable

REQUEST_SECONDS = 10.0
PAGE = 100


class Waiting(NamedTuple):
    """A run or a task that waits to be started."""

    dag_id: str
    what: str
    since: datetime


@contextmanager
def _understood(path: str) -> Iterator[None]:
    """Turn an answer of another shape into an error: not Airflow, or an unknown release."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AirflowUnreachable(
            f"what answers for {path} is not Airflow's API: is the address the API server's?"
        ) from error


class AirflowApi:
    """Reads one Airflow. Every method raises `AirflowUnreachable`, whose text holds no secret."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout_seconds: float = REQUEST_SECONDS,
        uses_proxy: bool = True,
    ) -> None:
        """Prepare a client.

        Args:
            url: the API server's address, without `/api/v2`.
            token: a JSON Web Token of Airflow's, of a user who may read.
            timeout_seconds: how long to wait for an answer.
            uses_proxy: whether the proxy of the environment is used; loopback needs none.
        """
        self._client = httpx.Client(base_url=url, timeout=timeout_seconds, trust_env=uses_proxy)
        if token is not None:
            self._client.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def health(self) -> dict[str, str]:
        """Return each part's state: `healthy`, `unhealthy`, or `not there`."""
        with _understood("/monitor/health"):
            answer = self._get("/monitor/health")
            return {
                part: str((answer.get(part) or {}).get("status") or "not there")
                for part in ("metadatabase", "scheduler", "dag_processor", "triggerer")
            }

    def import_errors(self, since: datetime | None = None) -> list[tuple[str, str]]:
        """Return the DAG files that cannot be parsed, each with its traceback.

        Args:
            since: leave out what was found before.
        """
        with _understood("/importErrors"):
            return [
                (str(item["filename"]), str(item["stack_trace"]).strip())
                for item in self._get("/importErrors")["import_errors"]
                if since is None or datetime.fromisoformat(item["timestamp"]) >= since
            ]

    def paused(self, tag: str) -> list[str]:
        """Return the ids of the DAGs with a tag that are paused."""
        with _understood("/dags"):
            answer = self._get("/dags", tags=tag, paused=True)
            return [str(item["dag_id"]) for item in answer["dags"]]

    def queued_runs(self, before: datetime) -> list[Waiting]:
        """Return the runs queued since before a time although no other run of their DAG runs."""
        path = "/dags/~/dagRuns"
        with _understood(path):
            queued = [
                Waiting(run["dag_id"], run["dag_run_id"], datetime.fromisoformat(run["queued_at"]))
                for run in self._all(path, "dag_runs", state="queued")
                if run["queued_at"]
            ]
            old = [one for one in queued if one.since < before]
            # Of each DAG by itself: all that run are many, as a thousand models that wait for their
            # data, and a list of them that is cut or moves on would make a queue a fault.
            busy = {dag_id: self._goes_on(dag_id) for dag_id in {one.dag_id for one in old}}
        return [one for one in old if not busy[one.dag_id]]

    def queued_tasks(self, before: datetime) -> list[Waiting]:
        """Return the tasks handed over before a time that no worker has started."""
        path = "/dags/~/dagRuns/~/taskInstances"
        with _understood(path):
            queued = [
                Waiting(
                    task["dag_id"],
                    f"{task['task_id']} of {task['dag_run_id']}",
                    datetime.fromisoformat(task["queued_when"]),
                )
                for task in self._all(path, "task_instances", state="queued")
                if task["queued_when"]
            ]
        return [one for one in queued if one.since < before]

    def _goes_on(self, dag_id: str) -> bool:
        """Return whether a run of a DAG is running."""
        path = f"/dags/{quote(dag_id, safe='')}/dagRuns"
        return bool(self._get(path, state="running", limit=1)["dag_runs"])

    def _all(self, path: str, name: str, **params: Any) -> Iterator[Any]:
        """Yield every item of a list, page by page."""
        offset = 0
        while page := self._get(path, offset=offset, **params)[name]:
            yield from page
            if len(page) < PAGE:
                return
            offset += len(page)

    def _get(self, path: str, **params: Any) -> Any:
        return self._request("GET", path, params={"limit": PAGE, **params})

    def _request(self, method: str, path: str, **arguments: Any) -> Any:
        """Return the JSON of the answer to one request below `/api/v2`, None when it has none."""
        answer = self._send(method, f"/api/v2{path}", **arguments)
        if not answer.is_success:
            raise self._refusal(answer, path)
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            raise AirflowUnreachable(f"Airflow's API answered no JSON for {path}") from error

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **arguments)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise AirflowUnreachable(
                f"Airflow's API does not answer: {type(error).__name__}: {error}"
            ) from error

    def _refusal(self, answer: httpx.Response, path: str) -> AirflowRefused:
        """Return what an error answer means, without its text, which goes to Slack from here."""
        code = answer.status_code
        if code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return AirflowRefused(
                f"Airflow's API refused the token ({code} for {path}): it has expired, or its "
                "user may not read this"
            )
        return AirflowRefused(f"Airflow's API answered {code} for {path}")
