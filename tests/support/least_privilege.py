"""Whether what Airflow asked of a platform is what the sample rights in `deploy/` allow.

Both stand-ins look when they end, so that every test that uses one holds the samples against it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
_VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete", "PUT": "update"}


def check_batch(operations: Iterable[str]) -> None:
    """Assert that `deploy/iam/submitter.json` allows these operations of AWS Batch and of logs."""
    _check_actions(operations, "submitter.json")


def check_lambda(operations: Iterable[str]) -> None:
    """Assert that `deploy/iam/invoker.json` allows these operations of AWS Lambda and of logs."""
    names = {"Invoke": "InvokeFunction"}
    _check_actions((names.get(one, one) for one in operations), "invoker.json")


def _check_actions(operations: Iterable[str], file: str) -> None:
    policy = json.loads((DEPLOY / "iam" / file).read_text())
    allowed = {action.split(":")[1] for one in policy["Statement"] for action in one["Action"]}
    unknown = set(operations) - allowed
    assert not unknown, f"deploy/iam/{file} does not allow {sorted(unknown)}"


def check_kubernetes(requests: Iterable[tuple[str, str, Mapping[str, str]]]) -> None:
    """Assert that `deploy/rbac/airflow.yaml` allows these requests: method, path and query."""
    role = next(
        one
        for one in yaml.safe_load_all((DEPLOY / "rbac" / "airflow.yaml").read_text())
        if one["kind"] == "Role"
    )
    allowed = {
        (resource, verb)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    unknown = {right_for(*request) for request in requests} - allowed
    assert not unknown, f"deploy/rbac/airflow.yaml does not allow {sorted(unknown)}"


def right_for(method: str, path: str, query: Mapping[str, str]) -> tuple[str, str]:
    """Return the resource and the verb that a request needs."""
    match = re.fullmatch(r"/api/v1/namespaces/[^/]+/([a-z]+)(?:/[^/]+(?:/([a-z]+))?)?", path)
    if match is None:
        return path, method
    resource = match[1] if match[2] is None else f"{match[1]}/{match[2]}"
    if method != "GET":
        return resource, _VERBS[method]
    has_name = path.count("/") > 5
    if has_name:
        return resource, "get"
    return resource, "watch" if query.get("watch") == "true" else "list"
