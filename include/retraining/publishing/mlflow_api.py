"""MLflow's REST API (2.0), as far as publishing needs it.

The client library is not used: it brings more packages than this repository has, and what is asked
here is a dozen requests (https://mlflow.org/docs/latest/api_reference/rest-api.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import ValidationError

from include.retraining.exceptions import NotPublished
from include.retraining.publishing.http_target import Answer, HttpTarget
from include.retraining.publishing.mlflow_answers import (
    Content,
    ExperimentAnswer,
    RegisteredModelAnswer,
    RunAnswer,
    RunInfo,
    RunsAnswer,
    VersionAnswer,
    VersionsAnswer,
)

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
SCHEME = "mlflow-artifacts"
NOT_FOUND = "RESOURCE_DOES_NOT_EXIST"
EXISTS = "RESOURCE_ALREADY_EXISTS"
BATCH = 1000
"""How many metrics MLflow takes at once."""

Shape = TypeVar("Shape", bound=Content)


class MlflowApi:
    """One tracking server.

    What it refuses, or answers otherwise than MLflow does, is `NotPublished`.
    """

    def __init__(self, server: HttpTarget) -> None:
        """Use a server; nothing is asked yet."""
        self.server = server

    def registered_tags(self, name: str) -> dict[str, str] | None:
        """Return a registered model's tags, or None when there is no such model."""
        path, query = "/registered-models/get", {"name": name}
        answer = self._get(RegisteredModelAnswer, path, query, absent=NOT_FOUND)
        return None if answer is None else answer.registered_model.by_key

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
            VersionAnswer,
            "/registered-models/alias",
            {"name": name, "alias": alias},
            absent=f"{NOT_FOUND} INVALID_PARAMETER_VALUE",
        )
        return None if answer is None else answer.model_version.version

    def set_alias(self, name: str, alias: str, number: str) -> None:
        """Let an alias name a version."""
        body = {"name": name, "alias": alias, "version": number}
        self._post("/registered-models/alias", body)

    def find_version(self, name: str, key: str, value: str) -> tuple[str, dict[str, str]] | None:
        """Return number and tags of the first version of a model with a tag, or None."""
        query = {"filter": f"name='{name}' AND tags.`{key}`='{value}'", "max_results": "100"}
        answer = self._get(VersionsAnswer, "/model-versions/search", query)
        found = (
            [] if answer is None else [(one.version, one.by_key) for one in answer.model_versions]
        )
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
        answer = self._read(VersionAnswer, self._post("/model-versions/create", body))
        return answer.model_version.version

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
            path = "/experiments/get-by-name"
            answer = self._get(ExperimentAnswer, path, query, absent=NOT_FOUND)
            if answer is not None:
                return answer.experiment.experiment_id
            self._post("/experiments/create", {"name": name}, allowed=EXISTS)
        raise NotPublished(
            f"connection {self.server.connection!r}: the experiment {name!r} is deleted: restore it"
        )

    def find_run(self, experiment: str, key: str, value: str) -> RunInfo | None:
        """Return the newest run of an experiment with a tag, or None."""
        body = {
            "experiment_ids": [experiment],
            "filter": f"tags.`{key}` = '{value}'",
            "max_results": 1,
        }
        runs = self._read(RunsAnswer, self._post("/runs/search", body)).runs
        return runs[0].info if runs else None

    def create_run(
        self, experiment: str, name: str, started_ms: int, tags: Mapping[str, str]
    ) -> RunInfo:
        """Make a run and return what is known of it."""
        body = {
            "experiment_id": experiment,
            "run_name": name,
            "start_time": started_ms,
            "tags": _pairs(tags),
        }
        return self._read(RunAnswer, self._post("/runs/create", body)).run.info

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
            self._require_taken(self.server.send("PUT", f"{ARTIFACTS}/{path}", content=data))
            return
        with data.open("rb") as file:
            size = {"Content-Length": str(data.stat().st_size)}
            answer = self.server.send("PUT", f"{ARTIFACTS}/{path}", content=file, headers=size)
        self._require_taken(answer)

    def _require_taken(self, answer: Answer) -> None:
        """Refuse an answer to a file other than MLflow's, which is empty."""
        if answer.body or not answer.is_success:
            self._read(Content, answer)

    def _get(
        self, shape: type[Shape], path: str, query: Mapping[str, str], *, absent: str = ""
    ) -> Shape | None:
        """Return an answer, or None for one of the errors that say that there is no such thing."""
        answer = self.server.send("GET", f"{API}{path}", params=query)
        if not answer.is_success and answer.json().get("error_code") in absent.split():
            return None
        return self._read(shape, answer)

    def _post(self, path: str, body: Mapping[str, Any], *, allowed: str = "") -> Answer:
        return self._send("POST", path, allowed=allowed, json=body)

    def _send(self, method: str, path: str, *, allowed: str = "", **body: Any) -> Answer:
        answer = self.server.send(method, f"{API}{path}", **body)
        if answer.is_success or answer.json().get("error_code") not in allowed.split():
            self._read(Content, answer)
        return answer

    def _read(self, shape: type[Shape], answer: Answer) -> Shape:
        """Return what an answer holds.

        Raises:
            NotPublished: when it is no success, or no answer of MLflow: a login page is a success.
        """
        if not answer.is_success:
            raise NotPublished(self.server.described(answer))
        try:
            return shape.model_validate_json(answer.body)
        except ValidationError:
            described = self.server.described(answer)
            raise NotPublished(
                f"what answers is not MLflow, but perhaps a login page: {described}"
            ) from None  # the first error's text holds parts of the answer


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]
