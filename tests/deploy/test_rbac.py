"""The sample rights for Kubernetes in deploy/rbac.

That they are enough is checked by each test that uses the Kubernetes API (`tests/least_privilege`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.least_privilege import check_batch, check_kubernetes, right_for

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "rbac"


def documents() -> list[dict[str, Any]]:
    """Return everything that the folder declares."""
    files = sorted(FOLDER.glob("*.yaml"))
    return [one for file in files for one in yaml.safe_load_all(file.read_text())]


def test_pods_may_ask_nothing_and_airflow_only_about_pods() -> None:
    """No role for the pods' accounts and no token in them; no secrets, no wildcard, no cluster."""
    found = documents()
    assert {one["kind"] for one in found} == {"Role", "RoleBinding", "ServiceAccount"}
    accounts = {one["metadata"]["name"]: one for one in found if one["kind"] == "ServiceAccount"}
    assert set(accounts) == {"retraining-trainer", "retraining-reader"}
    assert all(one["automountServiceAccountToken"] is False for one in accounts.values())
    for one in found:
        for subject in one.get("subjects", ()):
            assert subject["name"] not in accounts
        for rule in one.get("rules", ()):
            assert set(rule["resources"]) <= {"pods", "pods/log", "events"}
            assert "*" not in rule["verbs"]
    roles = {one["metadata"]["name"] for one in found if one["kind"] == "Role"}
    bound = {one["roleRef"]["name"] for one in found if one["kind"] == "RoleBinding"}
    assert bound == roles


@pytest.mark.parametrize(
    ("method", "path", "query", "right"),
    [
        ("POST", "pods", {}, ("pods", "create")),
        ("GET", "pods", {"labelSelector": "a=b"}, ("pods", "list")),
        ("GET", "pods", {"watch": "true"}, ("pods", "watch")),
        ("GET", "pods/x", {}, ("pods", "get")),
        ("GET", "pods/x/log", {"follow": "True"}, ("pods/log", "get")),
        ("PATCH", "pods/x", {}, ("pods", "patch")),
        ("GET", "secrets/x", {}, ("secrets", "get")),
    ],
)
def test_a_request_needs_a_right(
    method: str, path: str, query: dict[str, str], right: tuple[str, str]
) -> None:
    """As Kubernetes names it."""
    assert right_for(method, f"/api/v1/namespaces/ml/{path}", query) == right


def test_what_is_not_allowed_is_named() -> None:
    """A request too many fails the test that made it."""
    with pytest.raises(AssertionError, match=r"\('secrets', 'get'\)"):
        check_kubernetes([("GET", "/api/v1/namespaces/ml/secrets/x", {})])
    with pytest.raises(AssertionError, match="CancelJob"):
        check_batch(["SubmitJob", "CancelJob"])
