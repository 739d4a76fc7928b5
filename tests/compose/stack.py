"""The stack of docker-compose.yaml, started by `make` from a copy of the repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml

from include.local_airflow.ports import free_port
from include.local_airflow.rest_client import RUN_ENDED, AirflowSession
from include.retraining.decisions import records
from include.retraining.decisions.record import DecisionRecord
from include.retraining.store import marker as store_marker
from include.retraining.store.object_store import Store
from tests.support import container_engine
from tests.support.airflow_harness import IMPATIENT_SETTINGS
from tests.support.repository_copy import REPOSITORY, copy_repository

T = TypeVar("T")

# What `make env`, `make up` and the build read, beside what Airflow reads.
FILES = (".dockerignore", "Dockerfile", "Makefile", "docker-compose.yaml", "requirements.txt")
AIRFLOW_SERVICES = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
LAND = """
import sys
from include.local_airflow.demo.samples import SAMPLES, raise_flag
from include.retraining.store.marker import open_store
model, like = sys.argv[1:]
store = open_store()
store.write(f"landing/{model}/data.csv", SAMPLES[like][1]())
raise_flag(store, f"landing/{model}")
"""


class Stack:
    """A running stack. Models are named without `retrain_`."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        """Use `running_stack` to make one."""
        self.root = root
        self.environment = dict(environment)
        self.settings = read_env(root / ".env")
        self.api = AirflowSession(self.url, "admin", self.settings["ADMIN_PASSWORD"])

    @property
    def url(self) -> str:
        """Airflow's address."""
        return self.settings["PUBLIC_URL"]

    # ---- containers ----

    def compose(self, *words: str) -> str:
        """Run a command of compose's that must succeed and return what it printed."""
        return run(self.root, self.environment, *compose_command(), *words)

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's containers, those that ended too."""
        return self.compose("ps", "--all", "--quiet", service).split()

    def container(self, service: str) -> str:
        """Return the id of a service's one container."""
        (found,) = self.containers(service)
        return found

    def inspect(self, container: str) -> dict[str, Any]:
        """Return what the engine says of a container."""
        return dict(json.loads(container_engine.docker("inspect", container))[0])

    def logs(self, service: str) -> str:
        """Return what a service printed."""
        ended = container_engine.run("logs", self.container(service))
        return ended.stdout + ended.stderr

    def execute(self, service: str, *words: str) -> str:
        """Run a command in a service's container and return what it printed."""
        return container_engine.docker("exec", self.container(service), *words)

    def close(self) -> None:
        """Close the connections to its API."""
        self.api.close()

    def set(self, **settings: str) -> None:
        """Set values in `.env`, as a person would before the next `make up`."""
        self.settings |= settings
        lines = (f"{name}={value}\n" for name, value in self.settings.items())
        (self.root / ".env").write_text("".join(lines), encoding="utf-8")

    def add_file(self, name: str) -> None:
        """Add a file to those that compose reads."""
        self.environment["COMPOSE_FILE"] += f":{name}"

    def up(self) -> None:
        """Do `make up`."""
        run(self.root, self.environment, "make", "up")

    # ---- data and what is left behind ----

    def land(self, model: str, like: str) -> None:
        """Land the sample data of one model as the delivery of another, the flag last."""
        self.execute("watchdog", "python", "-c", LAND, model, like)

    def store(self, folder: Path) -> Store:
        """Return a copy of the store as it is now.

        Args:
            folder: where to; must not exist.
        """
        container_engine.docker(
            "cp", f"{self.container('watchdog')}:/opt/airflow/store", str(folder)
        )
        return store_marker.open_store(folder.as_uri(), {})

    def messages_about(self, record: DecisionRecord) -> list[str]:
        """Return what Slack was told of one end of a run, waiting for the first message."""
        event = f"event {record.model}.{record.run}.{record.clear:03d}."

        def look() -> list[str]:
            inbox = self.execute("slack", "cat", "/opt/airflow/logs/slack.jsonl")
            texts = [str(json.loads(line)["text"]) for line in inbox.splitlines()]
            return [text for text in texts if event in text]

        return self.wait_for(look, event)

    # ---- runs ----

    def start_run(self, model: str) -> str:
        """Unpause a model's DAG, waiting for it to be parsed, start a run and return its id."""
        dag_id = f"retrain_{model}"
        self.wait_for(lambda: self.api.dag(dag_id), f"DAG {dag_id}")
        self.api.set_paused(dag_id, is_paused=False)
        return self.api.trigger(dag_id)

    def running_task(self, model: str, run_id: str, task_id: str) -> dict[str, Any]:
        """Wait until a task runs and return its task instance; `hostname` names its container."""

        def look() -> dict[str, Any] | None:
            task = self.api.tasks(f"retrain_{model}", run_id).get(task_id)
            return task if task and task["state"] == "running" and task["hostname"] else None

        return self.wait_for(look, f"running {task_id}")

    def wait_for_end(self, model: str, run_id: str) -> dict[str, str | None]:
        """Wait for a run's end and return the state of every task; None for the run's own."""
        dag_id = f"retrain_{model}"

        def look() -> str | None:
            state = str(self.api.run(dag_id, run_id)["state"])
            return state if state in RUN_ENDED else None

        state = self.wait_for(look, f"end of {dag_id} {run_id}", 400)
        tasks = self.api.tasks(dag_id, run_id)
        return {task_id: task["state"] for task_id, task in tasks.items()} | {"": state}

    def wait_for(
        self, condition: Callable[[], T | None], what: str, timeout_seconds: float = 180
    ) -> T:
        """Wait until a condition is true and return what it returned."""
        deadline = time.monotonic() + timeout_seconds
        while not (result := condition()):
            assert time.monotonic() < deadline, f"no {what} after {timeout_seconds:g} s"
            time.sleep(1)
        return result


def record_of(store: Store, model: str, run_id: str) -> DecisionRecord:
    """Return the one decision record of a run."""
    (found,) = [one for one in records.decisions(store, model) if one.run_id == run_id]
    return found


def read_env(file: Path) -> dict[str, str]:
    """Return the values of a `.env`."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def compose_command() -> tuple[str, ...]:
    """Return the compose of this machine, as the Makefile chooses it."""
    return (
        ("docker", "compose")
        if container_engine.run("compose", "version").returncode == 0
        else ("docker-compose",)
    )


def run(root: Path, environment: Mapping[str, str], *words: str) -> str:
    """Run a command in a copy of the repository that must succeed; return what it printed."""
    ended = subprocess.run(
        words,
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == 0, f"{' '.join(words)}: {said[-6000:]}"
    return ended.stdout


def copy_for_compose(folder: Path) -> Path:
    """Copy the repository with what the stack is built from, and return the copy's root."""
    root = copy_repository(folder)
    for name in FILES:
        shutil.copy(REPOSITORY / name, root / name)
    for name in ("compose", "lambda"):  # Docker's older builder makes each stage on its way
        shutil.copytree(REPOSITORY / "deploy" / name, root / "deploy" / name)
    return root


@contextmanager
def running_stack(root: Path) -> Iterator[Stack]:
    """Start the stack from a copy of the repository, with two workers, and remove every trace.

    Airflow notices what died sooner than by default, and nothing else differs from `make up`.
    """
    name = f"retraining-test-{uuid.uuid4().hex[:8]}"
    impatient = {"services": {one: {"environment": IMPATIENT_SETTINGS} for one in AIRFLOW_SERVICES}}
    (root / "impatient.yaml").write_text(yaml.safe_dump(impatient), encoding="utf-8")
    environment = {
        **os.environ,
        "COMPOSE_FILE": "docker-compose.yaml:impatient.yaml",
        "COMPOSE_PROJECT_NAME": name,
        "AIRFLOW_IMAGE": name,
    }
    run(root, environment, "make", "env", f"PORT={free_port()}")
    before = container_engine.nameless_images()
    try:
        with closing(Stack(root, environment)) as stack:
            stack.up()
            stack.compose("up", "--detach", "--no-recreate", "--scale", "worker=2", "worker")
            yield stack
    finally:
        run(root, environment, "make", "down", "VOLUMES=1")
        container_engine.remove_image(name)
        # A builder without BuildKit keeps each stage that it built on the way.
        for image in container_engine.nameless_images() - before:
            container_engine.remove_image(image)


@contextmanager
def second_host(stack: Stack, folder: Path, **settings: str) -> Iterator[Stack]:
    """Run a worker as on another host: a clone and a project of its own, on the host's network.

    Args:
        stack: with the ports open.
        folder: where the clone is made.
        settings: what differs in `.env`.
    """
    shutil.copytree(stack.root, folder)
    environment = {
        **stack.environment,
        "COMPOSE_FILE": "docker-compose.yaml:impatient.yaml:deploy/compose/second-host.yaml",
        "COMPOSE_PROJECT_NAME": f"{stack.environment['COMPOSE_PROJECT_NAME']}-second",
    }
    with closing(Stack(folder, environment)) as host:
        host.set(**settings)
        try:
            host.compose("build", "init")
            host.compose("up", "--detach", "--no-deps", "worker")
            yield host
        finally:
            host.compose("down", "--volumes")
