"""`python -m include.stack.prepare`: what must be there before the stack starts.

The first service of docker-compose.yaml. Database, users, settings and store are made when they are
not there, so that it may run again at every start. In the end every connection that the models need
must be there, or the stack does not start.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from include.local_airflow.errors import LocalAirflowError
from include.local_airflow.settings import read_settings
from include.orchestration import check_connections
from include.orchestration.runtime.weak_secrets import weakness
from include.retraining.exceptions import RetrainingError
from include.retraining.store import marker as store_marker
from include.retraining.store.object_store import URI_VARIABLE

SETTINGS = Path(__file__).resolve().parents[2] / "airflow_settings.yaml"
NAMES = {"connections": "connection_id", "pools": "name", "variables": "key"}
USERS = {"admin": ("Admin", "ADMIN_PASSWORD"), "watchdog": ("Viewer", "WATCHDOG_PASSWORD")}
"""Per user, the role and the variable that holds the password of a new one."""
SEE_PAGES = (
    "roles",
    "add-perms",
    "Viewer",
    "User",
    "--action",
    "can_read",
    "--resource",
    "Plugins",
)
"""Airflow's UI asks for that right before it shows any page of a plugin, and only Op has it."""


def prepare(environment: Mapping[str, str]) -> None:
    """Migrate the database, create the users, apply the settings, initialise the store.

    Args:
        environment: with `RETRAINING_STORE` and the passwords.

    Raises:
        LocalAirflowError: when a variable is missing or no secret, or the settings cannot be read.
        RetrainingError: when the place cannot be made a store.
    """
    needed = (URI_VARIABLE, *(password for _, password in USERS.values()))
    missing = [name for name in needed if not environment.get(name)]
    if missing:
        raise LocalAirflowError(f"nothing was prepared: set {', '.join(missing)} (make env does)")
    for _, name in USERS.values():
        problem = weakness(environment[name])
        if problem is not None:
            raise LocalAirflowError(f"nothing was prepared: {name} {problem}")
    wanted = settings_to_apply(SETTINGS, environment)
    _airflow("db", "migrate")
    for name, (role, password) in USERS.items():
        _create_user(name, role, environment[password])
    _airflow(*SEE_PAGES)
    with TemporaryDirectory() as folder:
        for kind, entities in wanted.items():
            file = Path(folder) / f"{kind}.json"
            file.write_text(json.dumps(entities), encoding="utf-8")
            overwrite = ["--overwrite"] if kind == "connections" else []
            _airflow(kind, "import", str(file), *overwrite)
    store = store_marker.initialise(environment[URI_VARIABLE])
    print(f"{store.uri} is a store")


def settings_to_apply(file: Path, environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return per kind what to import, by name, in the words of Airflow's `import` commands.

    A connection that the environment gives is left out: the environment would win over it.
    """
    wanted = {
        kind: {entity.pop(NAMES[kind]): entity for entity in entities}
        for kind, entities in read_settings(file).items()
    }
    for name in list(wanted["connections"]):
        if f"AIRFLOW_CONN_{name.upper()}" in environment:
            del wanted["connections"][name]
    for pool in wanted["pools"].values():
        pool.setdefault("description", "")  # the command insists
    wanted["variables"] = {name: one.get("value", "") for name, one in wanted["variables"].items()}
    return {kind: entities for kind, entities in wanted.items() if entities}


def _create_user(name: str, role: str, password: str) -> None:
    """Create a user; one that is there keeps the password that it has."""
    person = ["--firstname", name, "--lastname", "-", "--email", f"{name}@localhost"]
    _airflow("users", "create", "--username", name, "--role", role, "--password", password, *person)


def _airflow(*words: str) -> None:
    """Run a command of Airflow's in this process, where no other can read its arguments."""
    from airflow.cli.cli_parser import get_parser

    arguments = get_parser().parse_args(list(words))
    arguments.func(arguments)


def main() -> int:
    """Prepare, check the models' connections and return the exit code."""
    try:
        prepare(os.environ)
    except (LocalAirflowError, RetrainingError) as error:
        print(error, file=sys.stderr)
        return 1
    return check_connections.main()


if __name__ == "__main__":
    sys.exit(main())
