"""MLflow's REST API (2.0), as far as publishing needs it.

The client library is not used: it brings more packages than this repository has, and what is asked
here is a dozen requests (https://mlflow.org/docs/latest/api_reference/rest-api.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from include.retraining.exceptions import NotPublished
from include.retraining.publishing.http_target import Answer, HttpTarget

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
SCHEME = "mlflow-artifacts"
NOT_FOUND = "RESOURCE_DOES_NOT_EXIST"
EXISTS = "RESOURCE_ALREADY_EXISTS"
BATCH = 1000
"""How many metrics MLflow takes at once."""


class MlflowApi:
    """One tracking server."""

    def __init__(self, server: HttpTarget) -> None:
        """Use a server; nothing is asked yet."""
        self.server = server

    def registered_tags(self, name: str) -> dict[str, str] | None:
        """Return a registered model's tags, or None when there is no such model."""
        answer = self._get("/registered-models/get", {"name": name}, absent=NOT_FOUND)
        return None if answer is None else _tags(answer["registered_model"])

    def register(self, name: str, description: str, tags: Mapping[str, str]) -> None:
        """Make a registered model, unless another process just did."""
        body = {"name": name, "description": description, "tags": _pairs(tags)}
        self._post("/registered-models/create", body, allowed=EXISTS)

    def tag_registered(self, name: str, key: str, value: str) -> None:
        """Set a tag of a registered model."""
        self._post("/registered-models/set-tag", {"name": name, "key": key, "value": value})

    def aliased(self, name: str, alias: str) -> str | None:
        """Return the number of the version that an alias names, or None when there is no alias."""
        # An alias that is not there is INVALID_PARAMETER_VALUE for a model that is.
        answer = self._get(
            "/registered-models/alias",
            {"name": name, "alias": alias},
            absent=f"{NOT_FOUND} INVALID_PARAMETER_VALUE",
        )
        return None if answer is None else str(answer["model_version"]["version"])

    def set_alias(self, name: str, alias: str, number: str) -> None:
        """Let an alias name a version."""
        body = {"name": name, "alias": alias, "version": number}
        self._post("/registered-models/alias", body)

    def find_version(self, name: str, key: str, value: str) -> tuple[str, dict[str, str]] | None:
        """Return number and tags of the first version of a model with a tag, or None."""
        query = {"filter": f"name='{name}' AND tags.`{key}`='{value}'", "max_results": "100"}
        answer = self._get("/model-versions/search", query) or {}
        found = [(str(one["version"]), _tags(one)) for one in answer.get("model_versions", [])]
        return min(found, key=lambda one: int(one[0]), default=None)

    def create_version(
        self, name: str, source: str, run_id: str, description: str, tags: Mapping[str, str]
    ) -> str:
        """Make a version of a registered model from a run's files and return its number."""
        body = {
            "name": name,
            "source": source,
            "run_id": run_id,
            "description": description,
            "tags": _pairs(tags),
        }
        answer = self._post("/model-versions/create", body)
        return str(answer["model_version"]["version"])

    def describe_version(self, name: str, number: str, description: str) -> None:
        """Replace the description of a version."""
        body = {"name": name, "version": number, "description": description}
        self._send("PATCH", "/model-versions/update", json=body)

    def tag_version(self, name: str, number: str, key: str, value: str) -> None:
        """Set a tag of a version."""
        body = {"name": name, "version": number, "key": key, "value": value}
        self._post("/model-versions/set-tag", body)

    def experiment(self, name: str) -> str:
        """Return the id of the experiment of a name, made where there is none."""
        for _ in range(2):  # another process may make it in between
            query = {"experiment_name": name}
            answer = self._get("/experiments/get-by-name", query, absent=NOT_FOUND)
            if answer is not None:
                return str(answer["experiment"]["experiment_id"])
            self._post("/experiments/create", {"name": name}, allowed=EXISTS)
        raise NotPublished(
            f"connection {self.server.connection!r}: the experiment {name!r} is deleted: restore it"
        )

    def find_run(self, experiment: str, key: str, value: str) -> dict[str, Any] | None:
        """Return the newest run of an experiment with a tag (`info` of the answer), or None."""
        body = {
            "experiment_ids": [experiment],
            "filter": f"tags.`{key}` = '{value}'",
            "max_results": 1,
        }
        runs = self._post("/runs/search", body).get("runs", [])
        return dict(runs[0]["info"]) if runs else None

    def create_run(
        self, experiment: str, name: str, started_ms: int, tags: Mapping[str, str]
    ) -> dict[str, Any]:
        """Make a run and return what is known of it (`info` of the answer)."""
        body = {
            "experiment_id": experiment,
            "run_name": name,
            "start_time": started_ms,
            "tags": _pairs(tags),
        }
        return dict(self._post("/runs/create", body)["run"]["info"])

    def log_metrics(self, run_id: str, metrics: Mapping[str, float], at_ms: int) -> None:
        """Log a run's metrics."""
        logged = [
            {"key": name, "value": value, "timestamp": at_ms, "step": 0}
            for name, value in sorted(metrics.items())
        ]
        for start in range(0, len(logged), BATCH):
            body = {"run_id": run_id, "metrics": logged[start : start + BATCH]}
            self._post("/runs/log-batch", body)

    def finish_run(self, run_id: str, at_ms: int) -> None:
        """Say that a run has all its files."""
        self._post("/runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": at_ms})

    def upload(self, artifact_uri: str, name: str, data: bytes | Path) -> None:
        """Put a file among a run's artifacts; doing so twice is the same.

        Raises:
            NotPublished: when the server gives its artifacts to clients, who need its keys then.
        """
        place = urlsplit(artifact_uri)
        if place.scheme != SCHEME:
            raise NotPublished(
                f"connection {self.server.connection!r}: the server keeps artifacts in "
                f"{place.scheme}://: it must serve them itself, with `mlflow server "
                "--serve-artifacts` and `mlflow-artifacts:/` as the root of the experiment"
            )
        path = quote(f"{place.path.strip('/')}/{name}")
        if isinstance(data, bytes):
            self._checked(self.server.send("PUT", f"{ARTIFACTS}/{path}", content=data))
            return
        with data.open("rb") as file:
            size = {"Content-Length": str(data.stat().st_size)}
            answer = self.server.send("PUT", f"{ARTIFACTS}/{path}", content=file, headers=size)
        self._checked(answer)

    def _get(
        self, path: str, query: Mapping[str, str], *, absent: str = ""
    ) -> dict[str, Any] | None:
        """Return an answer, or None for one of the errors that say that there is no such thing."""
        answer = self.server.send("GET", f"{API}{path}", params=query)
        if not answer.is_success and answer.json().get("error_code") in absent.split():
            return None
        return self._checked(answer)

    def _post(self, path: str, body: Mapping[str, Any], *, allowed: str = "") -> dict[str, Any]:
        return self._send("POST", path, allowed=allowed, json=body)

    def _send(self, method: str, path: str, *, allowed: str = "", **body: Any) -> dict[str, Any]:
        answer = self.server.send(method, f"{API}{path}", **body)
        if not answer.is_success and answer.json().get("error_code") in allowed.split():
            return {}
        return self._checked(answer)

    def _checked(self, answer: Answer) -> dict[str, Any]:
        if not answer.is_success:
            raise NotPublished(self.server.described(answer))
        return answer.json()


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _tags(item: Mapping[str, Any]) -> dict[str, str]:
    return {str(tag["key"]): str(tag.get("value", "")) for tag in item.get("tags", [])}
