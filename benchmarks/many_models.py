"""An Airflow with many small models, all of which can be delivered to at the same moment."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from sqlalchemy import create_engine, text

from benchmarks.process_family import cpu_seconds, peak_memory
from include.local_airflow.cluster import LocalAirflow
from include.local_airflow.demo import samples
from include.local_airflow.demo.store import store_connection
from include.local_airflow.ports import free_port
from include.local_airflow.rest_client import AirflowSession
from include.local_airflow.settings import apply_settings
from include.local_airflow.slack_receiver import SlackReceiver
from include.retraining.store import marker as store_marker
from include.retraining.store.object_store import Store
from tests.support.repository_copy import add_model, copy_repository

LIKE = "diabetes_progression"
READY_SECONDS = 1800.0
SECONDS_PER_MODEL = 60.0
POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Decided:
    """What it took until each model had its decision."""

    models: int
    seconds: float
    """From the first flag to the end of the last run."""
    cpu_seconds: float
    """Of all of Airflow's processes, its tasks and jobs."""
    peak_bytes: int
    delays: list[float]
    """Per task, seconds from queued to running."""

    @property
    def per_hour(self) -> float:
        """Models per hour."""
        return self.models / self.seconds * 3600

    @property
    def cpu_per_model(self) -> float:
        """CPU seconds of one model."""
        return self.cpu_seconds / self.models

    @property
    def delay_words(self) -> str:
        """The scheduler's delay: half of all tasks, and 95 of 100, started within."""
        return f"{median(self.delays):.1f} s, 95 %: {quantiles(self.delays, n=20)[-1]:.1f} s"


class ManyModels:
    """A running Airflow with models that wait for their flags."""

    def __init__(self, airflow: LocalAirflow, store: Store, busy: list[str]) -> None:
        """Describe it.

        Args:
            airflow: that runs.
            store: where the models' data lie.
            busy: the names of the models that are delivered to.
        """
        self.airflow = airflow
        self._engine = create_engine(airflow.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
        self._store = store
        self._busy = busy
        self._data = samples.diabetes_progression().decode().splitlines()
        self._deliveries = 0

    @property
    def dag_ids(self) -> list[str]:
        """The DAGs of the models that are delivered to."""
        return [f"retrain_{name}" for name in self._busy]

    def decide(self) -> Decided:
        """Start a run of each model, raise all flags at once, and wait for every decision.

        Raises:
            RuntimeError: when a run ended otherwise than by a promotion.
        """
        self._deliveries += 1
        run_id = f"bench_{self._deliveries}"
        with (
            AirflowSession(self.airflow.url, self.airflow.username, self.airflow.password) as api,
            peak_memory() as peak,
        ):
            for dag_id in self.dag_ids:
                api.set_paused(dag_id, is_paused=False)
                api.trigger(dag_id, run_id=run_id)
            self._wait(lambda: self._count("task_instance", "deferred", run_id), "flags waited for")
            used, started = cpu_seconds(), datetime.now(UTC)
            for name in self._busy:
                self._deliver(name)
            self._wait(lambda: self._ended(run_id), "runs that ended")
            used = cpu_seconds() - used
        promoted = self._count("dag_run", "success", run_id)
        if promoted != len(self._busy):
            raise RuntimeError(f"{len(self._busy) - promoted} of {len(self._busy)} runs failed")
        last = "SELECT max(end_date) FROM dag_run WHERE run_id = :run_id"
        seconds = (_time(self.query(last, run_id=run_id)[0][0]) - started).total_seconds()
        return Decided(len(self._busy), seconds, used, peak.bytes, self._delays(run_id))

    def idle_cpu(self, seconds: float) -> float:
        """Return the share of one core that Airflow takes while nothing happens."""
        used = cpu_seconds()
        time.sleep(seconds)  # what is being measured
        return (cpu_seconds() - used) / seconds

    def _deliver(self, name: str) -> None:
        lines = self._data[: len(self._data) - self._deliveries]  # never `no_change`
        self._store.write(f"landing/{name}/patients.csv", "\n".join([*lines, ""]).encode())
        samples.raise_flag(self._store, f"landing/{name}")

    def _wait(self, count: Any, what: str) -> None:
        seconds = READY_SECONDS + SECONDS_PER_MODEL * len(self._busy)
        self.airflow.wait_for(
            lambda: count() == len(self._busy), what, seconds, pause_seconds=POLL_SECONDS
        )

    def _count(self, table: str, state: str, run_id: str) -> int:
        query = f"SELECT count(*) FROM {table} WHERE run_id = :run_id AND state = :state"
        return int(self.query(query, run_id=run_id, state=state)[0][0])

    def _ended(self, run_id: str) -> int:
        return sum(self._count("dag_run", state, run_id) for state in ("success", "failed"))

    def _delays(self, run_id: str) -> list[float]:
        rows = self.query(
            "SELECT queued_dttm, start_date FROM task_instance "
            "WHERE run_id = :run_id AND queued_dttm IS NOT NULL AND start_date >= queued_dttm",
            run_id=run_id,
        )
        return [(_time(start) - _time(queued)).total_seconds() for queued, start in rows]

    def query(self, query: str, **values: str) -> list[Any]:
        """Return what Airflow's database answers."""
        with self._engine.connect() as connection:
            return list(connection.execute(text(query), values))


def _time(value: Any) -> datetime:
    """Read a time as SQLite or PostgreSQL gives it."""
    found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


@contextmanager
def many_models(
    folder: Path, *, busy: int, idle: int = 0, database: str | None = None
) -> Iterator[ManyModels]:
    """Yield an Airflow that has parsed all models.

    Args:
        folder: empty.
        busy: how many models are delivered to.
        idle: how many more there are, unpaused, whose time has not come.
        database: the address of Airflow's; an SQLite of its own when it is not given.
    """
    root = copy_repository(folder / "repository")
    names = [f"fleet_{number:04d}" for number in range(busy)]
    for name in names:
        add_model(root, name, like=LIKE, values={"trigger": {"schedule": None}})
    others = [f"idle_{number:04d}" for number in range(idle)]
    for name in others:
        add_model(root, name, like=LIKE, values={"trigger": {"schedule": "0 0 1 1 *"}})
    store = store_marker.initialise((folder / "store").as_uri())
    with ExitStack() as stack:
        slack = stack.enter_context(SlackReceiver(folder / "slack.jsonl"))
        airflow = LocalAirflow(
            root,
            folder / "airflow",
            port=free_port(),
            environment={
                "AIRFLOW_CONN_STORE": store_connection(store.uri, {}),
                "AIRFLOW_CONN_SLACK_ALERTS": slack.connection,
                "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
                **({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database} if database else {}),
            },
        )
        fleet = ManyModels(stack.enter_context(airflow), store, names)
        with AirflowSession(airflow.url, airflow.username, airflow.password) as api:
            apply_settings(root / "airflow_settings.yaml", api)
        _wait_for_dags(fleet, [*names, *others])
        yield fleet


def _wait_for_dags(fleet: ManyModels, names: Sequence[str]) -> None:
    query = "SELECT count(*) FROM dag WHERE dag_id LIKE 'retrain_fleet_%' "
    query += "OR dag_id LIKE 'retrain_idle_%'"
    fleet.airflow.wait_for(
        lambda: fleet.query(query)[0][0] == len(names),
        f"{len(names)} DAGs",
        READY_SECONDS,
        pause_seconds=POLL_SECONDS,
    )
