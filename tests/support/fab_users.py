"""People in an Airflow with the FAB auth manager, which a deployment uses, and what they may."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import httpx

from include.local_airflow.cluster import LocalAirflow

FAB = {
    "AIRFLOW__CORE__AUTH_MANAGER": (
        "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
    )
}
"""The setting that makes FAB the auth manager."""
ANSWER_SECONDS = 120
"""A busy machine answers late, and a wait ends when the answer is there."""


def command(airflow: LocalAirflow, *words: str) -> None:
    """Run a command of Airflow's, and raise with its output when it fails."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "airflow", *words],
        check=False,
        cwd=airflow.home,
        env=airflow.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"airflow {' '.join(words[:2])}: {done.stderr[-2000:]}"


def stranger(airflow: LocalAirflow) -> httpx.Client:
    """Return a client that nobody has logged in."""
    return httpx.Client(base_url=airflow.url, timeout=ANSWER_SECONDS, trust_env=False)


def answers(airflow: LocalAirflow) -> bool | None:
    """Return whether the API server answers; None, which waits go on for, when it does not."""
    try:
        with stranger(airflow) as client:
            return client.get("/api/v2/version").is_success or None
    except httpx.HTTPError:
        return None


def log_in(airflow: LocalAirflow, name: str, password: str) -> str:
    """Log somebody in, and return the token."""
    with stranger(airflow) as client:
        answer = client.post("/auth/token", json={"username": name, "password": password})
    assert answer.is_success, answer.text
    return str(answer.json()["access_token"])


@contextmanager
def logged_in(airflow: LocalAirflow, name: str, password: str) -> Iterator[httpx.Client]:
    """Log somebody in; the client has the token."""
    with stranger(airflow) as client:
        client.headers["Authorization"] = f"Bearer {log_in(airflow, name, password)}"
        yield client


def make_admin(airflow: LocalAirflow, name: str, password: str) -> None:
    """Make the first user, by the command that a deployment uses."""
    command(
        airflow,
        *("users", "create", "--username", name, "--role", "Admin", f"--password={password}"),
        *("--firstname", name, "--lastname", "B", "--email", f"{name}@example.org".lower()),
    )


def make_user(admin: httpx.Client, name: str, role: str, password: str) -> None:
    """Make a user of a role."""
    made = {
        "username": name,
        "password": password,
        "first_name": name,
        "last_name": "B",
        "email": f"{name}@example.org".lower(),
        "roles": [{"name": role}],
    }
    answer = admin.post("/auth/fab/v1/users", json=made)
    assert answer.is_success, answer.text


def make_role(admin: httpx.Client, name: str, may: Iterable[tuple[str, str]]) -> None:
    """Make a role of actions on resources, such as `can_read` on `DAG:retrain_loan_approval`."""
    actions = [{"action": {"name": one}, "resource": {"name": of}} for one, of in may]
    answer = admin.post("/auth/fab/v1/roles", json={"name": name, "actions": actions})
    assert answer.is_success, answer.text
