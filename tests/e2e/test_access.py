"""Who may do what in Airflow, with the FAB auth manager that a deployment uses.

Only the API server runs, on its own database: it is what says no.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager

import httpx
import pytest
from airflow.api_fastapi.auth.tokens import JWTGenerator

from include.local_airflow.cluster import LocalAirflow
from include.local_airflow.ports import free_port
from tests.support.fab_users import (
    FAB,
    answers,
    command,
    logged_in,
    make_admin,
    make_user,
    stranger,
)
from tests.support.repository_copy import REPOSITORY

pytestmark = [pytest.mark.airflow, pytest.mark.rare]

PASSWORD = f"password-{uuid.uuid4().hex}"
ROLES = ("Admin", "Op", "User", "Viewer")


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    """An API server with one user per role, named as the role is."""
    home = tmp_path_factory.mktemp("airflow")
    airflow = LocalAirflow(REPOSITORY, home, port=free_port(), environment=FAB)
    command(airflow, "db", "migrate")
    airflow.log_folder.mkdir(parents=True)
    try:
        airflow.start_component("api-server")
        airflow.wait_for(lambda: answers(airflow), "API server", 240)
        make_admin(airflow, "Admin", PASSWORD)
        with user(airflow, "Admin") as admin:
            for role in ROLES[1:]:
                make_user(admin, role, role, PASSWORD)
        yield airflow
    finally:
        airflow.stop()


def user(airflow: LocalAirflow, role: str) -> AbstractContextManager[httpx.Client]:
    """Log the user of a role in."""
    return logged_in(airflow, role, PASSWORD)


@pytest.mark.fault("T11")
@pytest.mark.parametrize("dag_id", ["retrain_loan_approval", "rollback_model", "release_model"])
def test_a_viewer_starts_nothing(airflow: LocalAirflow, dag_id: str) -> None:
    """403, whereas a user gets as far as that the DAG was not parsed here."""
    path, body = f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": {}}
    with user(airflow, "Viewer") as viewer:
        assert viewer.post(path, json=body).status_code == 403
        clear = f"/api/v2/dags/{dag_id}/clearTaskInstances"
        assert viewer.post(clear, json={"dry_run": True}).status_code == 403
    with user(airflow, "User") as somebody:
        assert somebody.post(path, json=body).status_code == 404


@pytest.mark.fault("T11")
def test_connections_are_for_operators(airflow: LocalAirflow) -> None:
    """Neither a viewer nor a user sees or makes one; an operator never sees a password."""
    made = {"connection_id": "store", "conn_type": "generic", "password": PASSWORD}
    for role in ("Viewer", "User"):
        with user(airflow, role) as somebody:
            assert somebody.get("/api/v2/connections").status_code == 403
            assert somebody.post("/api/v2/connections", json=made).status_code == 403
    with user(airflow, "Op") as operator:
        assert operator.post("/api/v2/connections", json=made).is_success
        shown = operator.get("/api/v2/connections/store")
        assert shown.json()["conn_type"] == "generic"
        assert PASSWORD not in shown.text


@pytest.mark.fault("T11")
def test_a_task_writes_to_no_other_task(airflow: LocalAirflow) -> None:
    """Its token opens its own task instance alone (CVE-2026-41084, fixed in 3.2.2)."""
    own, other = str(uuid.uuid4()), str(uuid.uuid4())
    made = JWTGenerator(
        secret_key=airflow.environment["AIRFLOW__API_AUTH__JWT_SECRET"],
        private_key=None,
        valid_for=600,
        audience="urn:airflow.apache.org:task",
        issuer=None,
    ).generate(extras={"sub": own, "scope": "execution"})
    body = {"state": "success", "end_date": "2026-11-24T06:00:00Z", "task_outlets": []}
    with stranger(airflow) as task:
        task.headers["Authorization"] = f"Bearer {made}"
        place = "/execution/task-instances"
        assert task.patch(f"{place}/{other}/state", json=body).status_code == 403
        # Its own was never made here, and that is all that is wrong.
        assert task.patch(f"{place}/{own}/state", json=body).status_code == 404


@pytest.mark.fault("T11")
def test_nobody_gets_in_without_a_login(airflow: LocalAirflow) -> None:
    """401 for the API, and for a password that is not the user's."""
    wrong = {"username": "Admin", "password": "admin"}
    with stranger(airflow) as client:
        assert client.get("/api/v2/dags").status_code == 401
        assert client.post("/auth/token", json=wrong).status_code == 401
