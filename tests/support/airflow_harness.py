"""A real Airflow for the tests: scheduler, DAG processor, triggerer, API server, LocalExecutor.

It runs on a copy of the repository, so that a test may add models, change their YAML, or plant
faults. Data, runs, records, messages and processes are each one call away, and every wait is for a
condition.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import psutil

from include.local_airflow.cluster import AIRFLOW_VERSION, LocalAirflow
from include.local_airflow.demo import samples
from include.local_airflow.demo.follow import wait_for_dags
from include.local_airflow.demo.store import store_connection
from include.local_airflow.errors import TookTooLong
from include.local_airflow.ports import free_port
from include.local_airflow.rest_client import RUN_ENDED, AirflowSession, NotThere
from include.local_airflow.settings import apply_settings
from include.local_airflow.slack_receiver import TOKEN, SlackReceiver
from include.retraining.decisions import records
from include.retraining.decisions.record import DecisionRecord
from include.retraining.registry import promotion as registry
from include.retraining.registry.entry import PromotionEntry
from include.retraining.runs.reference import RunRef
from include.retraining.store import marker as store_marker
from include.retraining.store.object_store import Store
from tests.support.invariants import check_invariants, check_no_canary, check_told
from tests.support.repository_copy import REPOSITORY, copy_repository

T = TypeVar("T")

# Airflow notices a dead task after five minutes by default (faults.md 4.0).
IMPATIENT_SETTINGS = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "25",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
    "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "2",
    # A DAG file that was changed, added or removed is noticed soon. Nothing else is parsed again: a
    # model's YAML changes no graph here, and parsing costs what the runs need.
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    # A scheduler that looks every 0.1 s takes a fifth of a core from the runs, and there are two.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.25",
}

BYSTANDER = f"canary-{uuid.uuid4().hex}"
"""A secret in a connection and in a variable that nothing needs."""


@dataclass(frozen=True)
class EndedRun:
    """How a run ended."""

    run_id: str
    state: str
    tasks: dict[str, str | None]
    """The state of every task, by task id."""


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process still does something."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def replace_text(file: Path, old: str, new: str) -> None:
    """Replace a text that must be there in a file of a copy."""
    text = file.read_text()
    assert old in text, f"{file} does not hold {old!r}"
    file.write_text(text.replace(old, new))


class Stage:
    """A running Airflow with a store and Slack's stand-in. Models are named without `retrain_`."""

    def __init__(
        self, root: Path, airflow: LocalAirflow, store: Store, slack: SlackReceiver
    ) -> None:
        """Use `stage` to make one."""
        self.root = root
        self.airflow = airflow
        self.store = store
        self.slack = slack
        self.api = AirflowSession(airflow.url, airflow.username, airflow.password)

    # ---- data ----

    def land(
        self,
        model: str,
        data: pd.DataFrame | bytes | None = None,
        *,
        name: str = "data.csv",
        flag: bool = True,
    ) -> None:
        """Land a delivery: the data first, then the flag.

        Args:
            model: whose landing folder it goes to.
            data: a table or a CSV's bytes; None for the data that ships with the model.
            name: the file's name.
            flag: False to leave the flag out.
        """
        folder = f"landing/{model}"
        if data is None:
            data = samples.SAMPLES[model][1]()
        if isinstance(data, pd.DataFrame):
            data = data.to_csv(index=False).encode()
        self.store.write(f"{folder}/{name}", data)
        if flag:
            self.raise_flag(model)

    def raise_flag(self, model: str) -> None:
        """Write a model's flag anew."""
        samples.raise_flag(self.store, f"landing/{model}")

    # ---- runs ----

    def start_run(
        self, model: str, conf: Mapping[str, Any] | None = None, *, run_id: str | None = None
    ) -> str:
        """Unpause a model's DAG, waiting for it to be parsed, start a run and return its id."""
        dag_id = f"retrain_{model}"
        self.wait_for(lambda: self._is_there(dag_id), f"DAG {dag_id}")
        self.api.set_paused(dag_id, is_paused=False)
        return self.api.trigger(dag_id, conf, run_id=run_id)

    def _is_there(self, dag_id: str) -> bool:
        errors = self.api.import_errors()
        assert not errors, errors
        dag = self.api.dag(dag_id)
        return dag is not None and not dag["is_stale"]

    def parse_again(self) -> None:
        """Let the DAG files be parsed again, as after a deployment, and wait until they are."""
        since = datetime.now(UTC)
        for file in (self.root / "dags").glob("*.py"):
            file.touch()
        models = (self.root / "include" / "models").glob("*.yaml")
        dag_ids = ["rollback_model", "release_model", *(f"retrain_{file.stem}" for file in models)]
        wait_for_dags(self.airflow, self.api, dag_ids, since)

    def wait_for_end(self, model: str, run_id: str, timeout_seconds: float = 600) -> EndedRun:
        """Wait for a run to end and return how it did."""
        dag_id = f"retrain_{model}"
        run = self.wait_for(
            lambda: self._ended(dag_id, run_id),
            f"end of {dag_id} {run_id}",
            timeout_seconds,
        )
        tasks = {key: task["state"] for key, task in self.api.tasks(dag_id, run_id).items()}
        return EndedRun(run_id, run["state"], tasks)

    def _ended(self, dag_id: str, run_id: str) -> dict[str, Any] | None:
        run = self.api.run(dag_id, run_id)
        return run if run["state"] in RUN_ENDED else None

    def run(
        self, model: str, conf: Mapping[str, Any] | None = None, timeout_seconds: float = 600
    ) -> tuple[EndedRun, DecisionRecord]:
        """Start a run, wait for its end, and return how it ended with its decision record."""
        run_id = self.start_run(model, conf)
        ended = self.wait_for_end(model, run_id, timeout_seconds)
        return ended, self.record(model, run_id)

    def wait_for_task(
        self, model: str, run_id: str, task_id: str, *states: str, timeout_seconds: float = 300
    ) -> dict[str, Any]:
        """Wait until a task is in one of ``states`` and return its task instance."""

        def look() -> dict[str, Any] | None:
            task = self.api.tasks(f"retrain_{model}", run_id).get(task_id)
            return task if task and task["state"] in states else None

        return self.wait_for(look, f"{task_id} in {' or '.join(states)}", timeout_seconds)

    def clear(self, model: str, run_id: str, *task_ids: str) -> None:
        """Clear tasks of a run, all of them when none are named, with what depends on them."""
        self.api.clear(f"retrain_{model}", run_id, list(task_ids) or None)

    def log(self, model: str, run_id: str, task_id: str) -> str:
        """Return a task's log as text, of all its attempts.

        Airflow counts a try of its own when a trigger fires before the executor has said that the
        task was handed over, and then knows no log of the first.
        """
        dag_id = f"retrain_{model}"
        found = []
        for number in range(1, self.api.tasks(dag_id, run_id)[task_id]["try_number"] + 1):
            with suppress(NotThere):
                found.append(self.api.log(dag_id, run_id, task_id, attempt=number))
        return "\n".join(found)

    # ---- what is left behind ----

    def record(
        self, model: str, run_id: str, *, clear: int = 0, timeout_seconds: float = 300
    ) -> DecisionRecord:
        """Wait for a run's decision record and return it; a callback may write it late."""
        return self.wait_for(
            lambda: next(
                (r for r in self.records(model) if (r.run_id, r.clear) == (run_id, clear)), None
            ),
            f"decision record of {run_id} ({clear})",
            timeout_seconds,
        )

    def records(self, model: str) -> list[DecisionRecord]:
        """Return a model's decision records, newest first."""
        return list(records.decisions(self.store, model))

    def promotions(self, model: str) -> list[PromotionEntry]:
        """Return a model's promotion log, verified, oldest first."""
        return sorted(
            registry.Registry(self.store, model).log.history(), key=lambda entry: entry.generation
        )

    def wait_for_message(self, *words: str, timeout_seconds: float = 180) -> str:
        """Wait for a Slack message that holds all ``words`` and return its text."""

        def look(messages: list[dict[str, Any]]) -> str | None:
            texts = (json.dumps(message, ensure_ascii=False) for message in messages)
            return next((text for text in texts if all(word in text for word in words)), None)

        return str(self.slack.wait_for(look, timeout_seconds))

    def messages_about(self, run_id: str) -> list[str]:
        """Return the texts of the Slack messages that name a run, oldest first."""
        texts = (json.dumps(message, ensure_ascii=False) for message in self.slack.messages)
        return [text for text in texts if run_id in text]

    def check_invariants(self, model: str, *ended: DecisionRecord) -> None:
        """Assert that a model's log, versions and records are sound, and that these runs ended.

        Every end that people must know of was told, or is within a minute (V7).
        """
        runs = [
            RunRef(one.model, one.dag_id, one.run_id, one.run_after, one.clear, one.cause)
            for one in ended
        ]
        check_invariants(self.store, model, ended=runs)
        with suppress(TookTooLong):  # the last look says what is missing
            self.slack.wait_for(lambda _: self._untold(model) is None, 60)
        assert self._untold(model) is None

    def _untold(self, model: str) -> str | None:
        try:
            check_told(self.store, model, [message["text"] for message in self.slack.messages])
        except AssertionError as error:
            return str(error)
        return None

    def check_told_once(self, record: DecisionRecord, *words: str) -> None:
        """Assert that one message tells of one end of a run, and that it holds these words."""
        event = f"{record.run}.{record.clear:03d}"
        self.wait_for_message(event, *words)
        found = [text for text in self.messages_about(record.run) if event in text]
        assert len(found) == 1, found

    def places(self) -> Iterator[tuple[str, bytes]]:
        """Yield everything that was written or sent, with the name of its place."""
        home = self.airflow.home
        for file in sorted((home / "logs").rglob("*")):
            if file.is_file():
                kind = "service" if "components" in file.parts else "log"
                yield f"{kind}: {file.relative_to(home)}", file.read_bytes()
        for file in home.glob("airflow.db*"):  # XComs, rendered fields, triggers
            yield f"database: {file.name}", file.read_bytes()
        for info in self.store.objects(""):
            yield f"store: {info.key}", self.store.read(info.key)
        yield "slack", json.dumps(self.slack.messages).encode()

    def secrets(self) -> dict[str, str]:
        """Return, by name, what no place may hold: Airflow's own secrets and the planted ones."""
        made = json.loads((self.airflow.home / "secrets.json").read_text())
        return {"webhook": TOKEN, "bystander": BYSTANDER} | {
            f"Airflow's {name}": value for name, value in made.items()
        }

    # ---- processes ----

    def task_process(self, model: str, run_id: str, task_id: str) -> psutil.Process:
        """Wait for a running task and return its process; its parent is Airflow's supervisor."""

        def look() -> psutil.Process | None:
            task = self.api.tasks(f"retrain_{model}", run_id).get(task_id)
            if not task or task["state"] != "running" or not task["pid"]:
                return None
            with suppress(psutil.NoSuchProcess):  # Airflow notices a moment later
                return psutil.Process(task["pid"])
            return None

        return self.wait_for(look, f"process of {task_id}", 300, pause_seconds=0.05)

    def supervisor(self, model: str, run_id: str, task_id: str) -> psutil.Process:
        """Wait for a running task and return the process of Airflow that answers for it."""
        parent = self.task_process(model, run_id, task_id).parent()
        assert parent is not None
        return parent

    def job_process(self, model: str, run_id: str, task_id: str) -> psutil.Process:
        """Wait for a running task's job and return the job's process.

        It is no child of the task where it was forked from a warm parent.
        """
        self.task_process(model, run_id, task_id)
        step = task_id.partition("_")[0]  # as in `train_model`
        words = f"-m include.retraining {step} --run {self.store.uri}/models/{model}/runs/"

        def look() -> psutil.Process | None:
            for process in psutil.process_iter():
                with suppress(psutil.Error):
                    if words in " ".join(process.cmdline()):
                        return process
            return None

        return self.wait_for(look, f"job of {task_id}", 60, pause_seconds=0.05)

    def wait_for_no_process(self, *processes: psutil.Process, timeout_seconds: float = 180) -> None:
        """Wait until processes are gone."""
        self.wait_for(
            lambda: not any(map(is_alive, processes)), f"end of {processes}", timeout_seconds
        )

    @staticmethod
    def kill(process: psutil.Process, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one process."""
        os.kill(process.pid, number)

    def wait_for(
        self,
        condition: Callable[[], T | None],
        what: str,
        timeout_seconds: float = 300,
        *,
        pause_seconds: float = 0.5,
    ) -> T:
        """Wait until a condition is true and return what it returned; Airflow must stay up."""
        return self.airflow.wait_for(condition, what, timeout_seconds, pause_seconds=pause_seconds)


def migrated(home: Path) -> None:
    """Give a home its database. It is migrated once per clone: that takes ten seconds of a core."""
    template = REPOSITORY / ".local" / f"database-of-airflow-{AIRFLOW_VERSION}"
    template.mkdir(parents=True, exist_ok=True)
    with (template / "lock").open("w") as lock:  # of two processes, one makes it
        fcntl.flock(lock, fcntl.LOCK_EX)
        LocalAirflow(REPOSITORY, template).migrate()
    home.mkdir(parents=True, exist_ok=True)
    for file in [*template.glob("airflow.db*"), *template.glob("migrated-*")]:
        shutil.copy(file, home / file.name)


@contextmanager
def stage(
    folder: Path,
    *,
    root: Path | None = None,
    environment: Mapping[str, str] | None = None,
    store: Store | None = None,
) -> Iterator[Stage]:
    """Start an Airflow on a copy of the repository and end it again.

    Before it ends, all that it wrote and sent is searched for secrets, whatever was done with it.

    Args:
        folder: an empty folder for everything.
        root: a prepared copy of the repository; made when it is not given.
        environment: more environment variables for Airflow.
        store: an initialised store; a folder's when it is not given.
    """
    root = root or copy_repository(folder / "repository")
    migrated(folder / "airflow")
    store = store or store_marker.initialise((folder / "store").as_uri())
    with SlackReceiver(folder / "slack.jsonl") as slack:
        airflow = LocalAirflow(
            root,
            folder / "airflow",
            port=free_port(),
            environment={
                "AIRFLOW_CONN_STORE": store_connection(store.uri, store.options),
                "AIRFLOW_CONN_SLACK_ALERTS": slack.connection,
                # Nobody uses these: whatever shows them shows what it need not even know.
                "AIRFLOW_CONN_BYSTANDER": json.dumps({
                    "conn_type": "generic",
                    "password": BYSTANDER,
                    "extra": {"token": BYSTANDER},
                }),
                "AIRFLOW_VAR_PASSWORD": BYSTANDER,
                **IMPATIENT_SETTINGS,
                **(environment or {}),
            },
        )
        with airflow:
            running = Stage(root, airflow, store, slack)
            apply_settings(root / "airflow_settings.yaml", running.api)  # the pools
            try:
                yield running
                check_no_canary(running.secrets(), running.places())
            finally:
                running.api.close()
