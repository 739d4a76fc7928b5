"""Trim Airflow's own database, in a child process that alone is given its address."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Connection, Context
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowSkipException

from include.orchestration.backends.local.environment import PASSED_ON
from include.orchestration.backends.local.limits import memory_limit
from include.orchestration.backends.local.operator import follow
from include.orchestration.backends.local.process import ChildProcess
from include.orchestration.runtime.bundle import assert_own_bundle
from include.orchestration.runtime.errors import fail_permanent_errors
from include.retraining.exceptions import ConfigError, InfrastructureError

DATABASE_CONNECTION = "airflow_db"
"""What Airflow and its Helm chart call the connection to Airflow's own database."""
DAYS = "RETRAINING_DATABASE_DAYS"
MIN_DAYS, MAX_DAYS = 7, 3650
TRIM_SECONDS = 3 * 3600


class TrimDatabaseOperator(BaseOperator):
    """Removes from Airflow's database what is older than `RETRAINING_DATABASE_DAYS`.

    Airflow keeps every run for ever, and its scheduler gets slower by them. The store has the
    records: nothing of an audit is in that database alone. Airflow gives tasks no access to it, so
    a connection must; without one, or without the setting, the task is skipped.
    """

    def __init__(self, **kwargs: Any) -> None:
        """Trim with what the environment says.

        Args:
            kwargs: of any operator.
        """
        super().__init__(**kwargs)
        self._child: ChildProcess | None = None

    def execute(self, context: Context) -> str:
        """Return what was removed, in a sentence."""
        with fail_permanent_errors():
            root = assert_own_bundle(context)
            days = days_to_keep()
            if days is None:
                raise AirflowSkipException(
                    f"nothing was trimmed: {DAYS} is not set; once it is, the runs of every DAG of "
                    "this Airflow are trimmed (docs/deployment/README.md)"
                )
            return self._run(root, _connection(), days)

    def on_kill(self) -> None:
        """End the child; `execute` then fails."""
        if self._child is not None:
            self._child.stop("the task was killed")

    def _run(self, root: Path, connection: Connection, days: int) -> str:
        self._child = ChildProcess(
            [sys.executable, "-m", "include.orchestration.upkeep.database", str(days)],
            folder=root,
            environment=_environment(database_url(connection)),
            timeout_seconds=TRIM_SECONDS,
            memory_bytes=memory_limit(None),
        )
        secrets = {"password": connection.password} if connection.password else {}
        exit_code, line = follow(self._child, "trimming", self.log, options=secrets)
        if exit_code != 0:
            raise InfrastructureError(f"Airflow's database was not trimmed: {line}")
        return line


def days_to_keep() -> int | None:
    """Return how many days Airflow's database keeps a run that has ended; None where nothing says.

    Raises:
        ConfigError: when the setting is no number of days.
    """
    text = os.environ.get(DAYS)
    if not text:
        return None
    if not text.isdecimal() or not MIN_DAYS <= int(text) <= MAX_DAYS:
        raise ConfigError(
            f"the environment's {DAYS} is {text[:20]!r}; allowed: {MIN_DAYS} to {MAX_DAYS:,}"
        )
    return int(text)


def database_url(connection: Connection) -> str:
    """Return SQLAlchemy's address of the database that a connection names. It is a secret."""
    from sqlalchemy.engine import URL

    if connection.conn_type == "sqlite":
        return f"sqlite:///{connection.host}?timeout=60"  # seconds to wait for another writer
    # Airflow makes this word of an address that begins with `postgresql://`.
    kind = str(connection.conn_type)
    return URL.create(
        "postgresql" if kind == "postgres" else kind,
        username=connection.login,
        password=connection.password,
        host=connection.host,
        port=connection.port,
        database=connection.schema,
        query={name: str(value) for name, value in connection.extra_dejson.items()},
    ).render_as_string(hide_password=False)


def _connection() -> Connection:
    try:
        connection: Connection = Connection.get(DATABASE_CONNECTION)
    except AirflowNotFoundException as error:
        raise AirflowSkipException(
            f"nothing was trimmed: there is no Airflow connection {DATABASE_CONNECTION!r}; "
            "docs/deployment/README.md says how to give this task one"
        ) from error
    return connection


def _environment(url: str) -> dict[str, str]:
    """Return the whole environment of the child: Airflow's settings of its database, and no key."""
    settings = ("AIRFLOW_HOME", "AIRFLOW__CORE__AUTH_MANAGER", *PASSED_ON)
    environment = {name: os.environ[name] for name in settings if name in os.environ}
    environment |= {
        name: value for name, value in os.environ.items() if name.startswith("AIRFLOW__DATABASE__")
    }
    # In a task Airflow has put another text there, so that no task opens the database.
    return environment | {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url, "PYTHONUNBUFFERED": "1"}
