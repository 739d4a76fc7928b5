"""The environment of an Airflow on this machine: its settings, and the secrets of its home."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from include.local_airflow.ports import LOOPBACK

USERNAME = "admin"

FIXED_SETTINGS = {
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__API__HOST": LOOPBACK,
    "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
    # The folder of a run is named after its id; a longer one cannot be a file name.
    "AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN": "^[A-Za-z0-9_.~:+-]{1,120}$",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "PYTHONUNBUFFERED": "1",
}
# For a thousand models. docker-compose.yaml and deploy/helm/values.yaml have the same.
CAPACITY_SETTINGS = {
    # One file makes the DAGs of all models. Building and storing 1,000 of them takes 17 s on a
    # quiet machine; past 50 s, Airflow's default, no model at all would be updated any more.
    "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "300",
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "120",
    # Parsed every 30 s, Airflow's default, 1,000 models keep a third of a core busy for nothing.
    # A change of a DAG file and a new file are noticed at the next refresh all the same.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
    # Each run that waits is one trigger, and the 1,001st would not even be looked at.
    "AIRFLOW__TRIGGERER__CAPACITY": "4000",
    # A message of the queue goes to the models that are watched for by then, and is deleted. After
    # a start of the triggerer, all of them are within this time; by Airflow's default, the first.
    "AIRFLOW__TRIGGERER__SHARED_STREAM_COHORT_GRACE_PERIOD": "10",
}
# Airflow's defaults suit a cluster. On one machine these shorten the way from a flag to a decision.
QUICK_SETTINGS = {
    # The scheduler sleeps this long whenever it finds nothing to do: half of it, on average,
    # passes before each task.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "AIRFLOW__CORE__PARALLELISM": "8",
}


def inherited_environment() -> dict[str, str]:
    """Return this process's environment, without another Airflow's settings in the user's shell."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIRFLOW__") and name not in {"AIRFLOW_HOME", "AIRFLOW_CONFIG"}
    }


def airflow_settings(
    root: Path, home: Path, port: int, *, log_ports: tuple[int, int]
) -> dict[str, str]:
    """Return the variables that configure one Airflow; they hold secrets.

    Args:
        root: the repository's root, which is the DAG bundle.
        home: AIRFLOW_HOME; its secrets are made when there are none.
        port: the API server's on loopback.
        log_ports: on which the worker and the triggerer serve their logs.
    """
    worker_port, trigger_port = log_ports
    own = read_secrets(home)
    url = f"http://{LOOPBACK}:{port}"
    no_proxy = os.environ.get("NO_PROXY", os.environ.get("no_proxy", ""))
    no_proxy = ",".join(filter(None, [no_proxy, LOOPBACK, "localhost"]))
    return {
        **FIXED_SETTINGS,
        **CAPACITY_SETTINGS,
        **QUICK_SETTINGS,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(root / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(root / "plugins"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": own["fernet_key"],
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USERNAME}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        **_database(home / "airflow.db"),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([_bundle(root)]),
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": own["api_secret_key"],
        "AIRFLOW__API_AUTH__JWT_SECRET": own["jwt_secret"],
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_port),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_port),
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
    }


def _bundle(root: Path) -> dict[str, Any]:
    """Return the one bundle of DAGs: this folder, as it is."""
    return {
        "name": "retraining",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(root)},
    }


def _database(file: Path) -> dict[str, str]:
    """Return the variables that say where Airflow's database is."""
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{file}",
        # For the DAG `upkeep`, which trims the database: Airflow hides the line above from tasks.
        "AIRFLOW_CONN_AIRFLOW_DB": json.dumps({"conn_type": "sqlite", "host": str(file)}),
        "RETRAINING_DATABASE_DAYS": "90",
    }


def read_secrets(home: Path) -> dict[str, str]:
    """Return this home's secrets, made once and kept in a file that only its owner can read."""
    file = home / "secrets.json"
    if not file.exists():
        home.mkdir(parents=True, exist_ok=True)
        generated = {
            "password": secrets.token_urlsafe(12),
            "jwt_secret": secrets.token_hex(64),
            "api_secret_key": secrets.token_hex(32),
            "fernet_key": _fernet_key(),
        }
        _write_private(home / "passwords.json", json.dumps({USERNAME: generated["password"]}))
        _write_private(file, json.dumps(generated))
    return dict(json.loads(file.read_text(encoding="utf-8")))


def _fernet_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def _write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, all of it or nothing."""
    draft = file.with_suffix(".tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    draft.replace(file)
