"""A stand-in for an MLflow tracking server, and the real one.

The stand-in gives the answers of MLflow 3.17.2 to what publishing asks: the tests of
`publishing/test_mlflow.py` run against both.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest

from tests.conftest import free_port
from tests.support.loopback_server import LoopbackServer, Reply, Request

PROGRAM = Path(__file__).parents[2] / ".local" / "mlflow" / "bin" / "mlflow"
START_SECONDS = 240
"""It imports for ten seconds of a core, which are more on a busy machine."""
API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


# No proxy, and no certificates, which take longer to read than an answer.
QUICKLY: dict[str, Any] = {"trust_env": False, "verify": False}


class Refusal(Exception):
    """An error answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = Reply(status, json.dumps({"error_code": code, "message": message}).encode())


class MlflowStandIn:
    """The registry, the runs and the artifacts of a tracking server, in memory."""

    def __init__(self) -> None:
        self.experiments: dict[str, str] = {}
        self.runs: list[dict[str, Any]] = []
        self.models: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, list[dict[str, Any]]] = {}
        self.aliases: dict[tuple[str, str], str] = {}
        self.artifacts: dict[str, bytes] = {}

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        parts = urlsplit(request.path)
        if parts.path.startswith(f"{ARTIFACTS}/"):
            return self._artifact(request, unquote(parts.path.removeprefix(f"{ARTIFACTS}/")))
        given = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if request.body:
            given |= json.loads(request.body)
        name = re.sub(r"\W", "_", parts.path.removeprefix(f"{API}/"))
        act = getattr(self, f"_{request.method.lower()}_{name}", None)
        if act is None:
            return Reply(404, b"<!doctype html>")
        try:
            return Reply(200, json.dumps(act(given)).encode())
        except Refusal as refusal:
            return refusal.reply

    def _artifact(self, request: Request, path: str) -> Reply:
        if request.method == "PUT":
            self.artifacts[path] = request.body
            return Reply(body=b"")
        return Reply(200, self.artifacts[path])

    def _model(self, name: str) -> dict[str, Any]:
        if name not in self.models:
            raise Refusal(
                404, "RESOURCE_DOES_NOT_EXIST", f"Registered Model with name={name} not found"
            )
        return self.models[name]

    def _get_registered_models_get(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"registered_model": self._model(given["name"])}

    def _post_registered_models_create(self, given: dict[str, Any]) -> dict[str, Any]:
        name = given["name"]
        if name in self.models:
            raise Refusal(
                400, "RESOURCE_ALREADY_EXISTS", f"Registered Model (name={name}) already exists."
            )
        self.models[name], self.versions[name] = dict(given), []
        return {"registered_model": self.models[name]}

    def _post_registered_models_set_tag(self, given: dict[str, Any]) -> dict[str, Any]:
        _set_tag(self._model(given["name"]), given)
        return {}

    def _get_registered_models_alias(self, given: dict[str, Any]) -> dict[str, Any]:
        self._model(given["name"])
        number = self.aliases.get((given["name"], given["alias"]))
        if number is None:
            raise Refusal(
                400,
                "INVALID_PARAMETER_VALUE",
                f"Registered model alias {given['alias']} not found.",
            )
        return {"model_version": self.versions[given["name"]][int(number) - 1]}

    def _post_registered_models_alias(self, given: dict[str, Any]) -> dict[str, Any]:
        self._version(given)
        self.aliases[given["name"], given["alias"]] = given["version"]
        return {}

    def _version(self, given: dict[str, Any]) -> dict[str, Any]:
        self._model(given["name"])
        try:
            return self.versions[given["name"]][int(given["version"]) - 1]
        except IndexError:
            raise Refusal(404, "RESOURCE_DOES_NOT_EXIST", "Model Version not found") from None

    def _post_model_versions_create(self, given: dict[str, Any]) -> dict[str, Any]:
        self._model(given["name"])
        versions = self.versions[given["name"]]
        versions.append({**given, "version": str(len(versions) + 1), "status": "READY"})
        return {"model_version": versions[-1]}

    def _get_model_versions_get(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"model_version": self._version(given)}

    def _get_model_versions_search(self, given: dict[str, Any]) -> dict[str, Any]:
        name, key, value = re.fullmatch(
            r"name='(.+?)'(?: AND tags.`(.+)`='(.+)')?", given["filter"]
        ).groups()
        versions = self.versions.get(name, [])
        found = [one for one in versions if key is None or _tag(one, key) == value]
        return {"model_versions": found} if found else {}

    def _patch_model_versions_update(self, given: dict[str, Any]) -> dict[str, Any]:
        version = self._version(given)
        version["description"] = given["description"]
        return {"model_version": version}

    def _post_model_versions_set_tag(self, given: dict[str, Any]) -> dict[str, Any]:
        _set_tag(self._version(given), given)
        return {}

    def _get_experiments_get_by_name(self, given: dict[str, Any]) -> dict[str, Any]:
        name = given["experiment_name"]
        if name not in self.experiments:
            message = f"Could not find experiment with name '{name}'"
            raise Refusal(404, "RESOURCE_DOES_NOT_EXIST", message)
        return {"experiment": {"experiment_id": self.experiments[name], "name": name}}

    def _post_experiments_create(self, given: dict[str, Any]) -> dict[str, Any]:
        number = str(len(self.experiments) + 1)
        return {"experiment_id": self.experiments.setdefault(given["name"], number)}

    def _post_runs_create(self, given: dict[str, Any]) -> dict[str, Any]:
        run_id = f"{len(self.runs) + 1:032x}"
        place = f"mlflow-artifacts:/{given['experiment_id']}/{run_id}/artifacts"
        info = {"run_id": run_id, "status": "RUNNING", "artifact_uri": place, **given}
        self.runs.append({"info": info, "data": {"metrics": [], "tags": given["tags"]}})
        return {"run": self.runs[-1]}

    def _post_runs_search(self, given: dict[str, Any]) -> dict[str, Any]:
        key, value = re.fullmatch(r"tags.`(.+)` = '(.+)'", given["filter"]).groups()
        found = [
            run
            for run in self.runs
            if run["info"]["experiment_id"] in given["experiment_ids"]
            and _tag(run["data"], key) == value
        ]
        return {"runs": found[::-1]} if found else {}

    def _run(self, run_id: str) -> dict[str, Any]:
        return next(run for run in self.runs if run["info"]["run_id"] == run_id)

    def _get_runs_get(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"run": self._run(given["run_id"])}

    def _post_runs_log_batch(self, given: dict[str, Any]) -> dict[str, Any]:
        self._run(given["run_id"])["data"]["metrics"] += given["metrics"]
        return {}

    def _post_runs_update(self, given: dict[str, Any]) -> dict[str, Any]:
        self._run(given["run_id"])["info"]["status"] = given["status"]
        return {}


def _tag(item: dict[str, Any], key: str) -> str | None:
    return next((tag["value"] for tag in item.get("tags", []) if tag["key"] == key), None)


def _set_tag(item: dict[str, Any], given: dict[str, Any]) -> None:
    others = [tag for tag in item.get("tags", []) if tag["key"] != given["key"]]
    item["tags"] = [*others, {"key": given["key"], "value": given["value"]}]


@contextmanager
def mlflow_stand_in() -> Iterator[LoopbackServer]:
    """Run the stand-in on loopback."""
    with LoopbackServer(MlflowStandIn().answer) as server:
        yield server


@contextmanager
def real_mlflow(folder: Path) -> Iterator[str]:
    """Run a real tracking server on loopback and yield its address; skips where there is none."""
    if not PROGRAM.is_file():
        pytest.skip("there is no MLflow in .local/mlflow: `make .local/mlflow/.installed` first")
    port = free_port()
    log = folder / "mlflow.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [
                *(str(PROGRAM), "server", "--host", "127.0.0.1", "--port", str(port)),
                *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"),
                *("--artifacts-destination", str(folder / "artifacts"), "--serve-artifacts"),
            ],
            stdout=output,
            stderr=output,
            cwd=folder,
            env={
                **os.environ,
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # a second server beside it
                "MLFLOW_DISABLE_TELEMETRY": "true",
            },
        )
        try:
            address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_SECONDS
            while not _answers(address):
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"MLflow did not start: {log.read_text()[-2000:]}")
                time.sleep(0.2)
            yield address
        finally:
            server.terminate()
            server.wait(timeout=60)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health", trust_env=False).is_success
    except httpx.HTTPError:
        return False


class MlflowReader:
    """What a tracking server has, as its users would ask for it."""

    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """Return the answer of its API."""
        address = f"{self._address}{API}{path}"
        answer = httpx.request(method, address, **QUICKLY, **arguments)
        answer.raise_for_status()
        value: dict[str, Any] = answer.json()
        return value

    def champion(self, name: str, alias: str = "champion") -> dict[str, Any]:
        """Return the version that an alias names."""
        found = self.ask("GET", "/registered-models/alias", params={"name": name, "alias": alias})
        version: dict[str, Any] = found["model_version"]
        return version

    def move_alias(self, name: str, number: str, alias: str = "champion") -> None:
        """Let an alias name another version, as someone else would."""
        body = {"name": name, "alias": alias, "version": number}
        self.ask("POST", "/registered-models/alias", json=body)

    def tags(self, name: str) -> dict[str, str]:
        """Return the tags of a registered model."""
        found = self.ask("GET", "/registered-models/get", params={"name": name})
        return tags_of(found["registered_model"])

    def run(self, run_id: str) -> dict[str, Any]:
        """Return a run."""
        run: dict[str, Any] = self.ask("GET", "/runs/get", params={"run_id": run_id})["run"]
        return run

    def artifact(self, run_id: str, name: str) -> bytes:
        """Return a file of a run."""
        place = urlsplit(self.run(run_id)["info"]["artifact_uri"]).path.strip("/")
        answer = httpx.get(f"{self._address}{ARTIFACTS}/{place}/{name}", **QUICKLY)
        answer.raise_for_status()
        return answer.content


def tags_of(item: dict[str, Any]) -> dict[str, str]:
    """Return the tags of a registered model, a version or a run's data."""
    return {tag["key"]: tag["value"] for tag in item.get("tags", [])}
