"""Why Airflow has no connection of a name: what its secrets backends answer.

Airflow asks one after the other and takes the first that has it; that one of them refused or did
not answer is no more than a debug line of its log, and the connection "isn't defined".
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from airflow.sdk import Connection


class BackendAnswer(NamedTuple):
    """The answer of one secrets backend."""

    backend: Any
    connection: Connection | None
    problem: str | None
    """Why it could not answer; never a value of the secret."""

    @property
    def place(self) -> str:
        """Where it searches, for messages."""
        name = type(self.backend).__name__
        return _PLACES.get(name, name)


_PLACES = {
    "EnvironmentVariablesBackend": "the environment",
    "ExecutionAPISecretsBackend": "Airflow's database",
    "MetastoreBackend": "Airflow's database",
    "SecretsManagerBackend": "AWS Secrets Manager",
    "VaultBackend": "HashiCorp Vault",
}


def query_backends(conn_id: str) -> list[BackendAnswer]:
    """Ask every backend that this process has, in Airflow's order."""
    # The list that Connection.get goes through; there is no public way to it.
    from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded

    return [_query(backend, conn_id) for backend in ensure_secrets_backend_loaded()]


def why_missing(conn_id: str) -> str | None:
    """Return where a connection was searched and what did not answer, or None if it is there."""
    answers = query_backends(conn_id)
    if any(one.connection is not None for one in answers):
        return None
    failed = [f"{one.place} did not answer ({one.problem})" for one in answers if one.problem]
    looked = " and ".join(one.place for one in answers if not one.problem)
    return "; ".join([*failed, *([f"it is not in {looked}"] if looked else [])])


def _query(backend: Any, conn_id: str) -> BackendAnswer:
    try:
        return BackendAnswer(backend, backend.get_connection(conn_id=conn_id), None)
    except Exception as error:  # noqa: BLE001 a backend may raise anything, and each is its answer
        return BackendAnswer(backend, None, _said_by(error))


def _said_by(error: Exception) -> str:
    """Return the kind of an error's first cause: its text may quote what was read."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    response = getattr(error, "response", None)  # of AWS: AccessDeniedException and the like
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    is_name = isinstance(code, str) and re.fullmatch(r"\w{1,80}", code)
    return str(code) if is_name else type(error).__name__
