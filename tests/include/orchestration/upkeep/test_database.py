"""Trimming Airflow's database removes what has ended, and nothing that is open."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.models import import_all_models
from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dag_version import DagVersion
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.log import Log
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from airflow.utils.orm_event_handlers import setup_event_handlers
from airflow.utils.types import DagRunType
from sqlalchemy import create_engine, insert, select
from sqlalchemy.orm import Session

from include.orchestration.upkeep.database import remove_dag_versions, remove_runs
from include.orchestration.upkeep.trim_database import TrimDatabaseOperator
from tests.support.contexts import MakeContext

NOW = datetime.now(UTC)
BEFORE = NOW - timedelta(days=90)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Session]:
    """Airflow's tables with one DAG in two versions, on SQLite as Airflow sets it up."""
    engine = create_engine(f"sqlite:///{tmp_path / 'airflow.db'}")
    setup_event_handlers(engine)
    import_all_models()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(DagBundleModel(name="retraining"))
        session.flush()
        session.add(DagModel(dag_id="retrain_a", bundle_name="retraining", fileloc="a.py"))
        session.flush()
        for number in (1, 2):
            version = {"id": uuid.uuid4(), "version_number": number, "dag_id": "retrain_a"}
            times = {"created_at": NOW - timedelta(days=400), "last_updated": NOW}
            session.execute(insert(DagVersion).values(**version, **times))
        session.commit()
        yield session


def add_run(
    session: Session,
    name: str,
    days: float,
    *,
    state: str = "success",
    kind: DagRunType = DagRunType.SCHEDULED,
    trigger: Trigger | None = None,
    ended: float | None = None,
) -> None:
    """Add a run that was due so many days ago, with one task and its XCom."""
    at = NOW - timedelta(days=days)
    version = session.scalars(select(DagVersion).order_by(DagVersion.version_number)).first()
    assert version is not None
    where = {"dag_id": "retrain_a", "run_id": name}
    run = {"run_type": kind, "run_after": at, "logical_date": at, "start_date": at, "state": state}
    if ended is not None:
        run["end_date"] = NOW - timedelta(days=ended)
    found = session.execute(insert(DagRun).values(**where, **run, clear_number=0))
    number: Any = found.inserted_primary_key
    task = {
        "id": uuid.uuid4(),
        "task_id": "wait_for_data",
        "start_date": at,
        "state": "deferred" if trigger else state,
        "pool": "default_pool",
        "pool_slots": 1,
        "try_number": 1,
        "map_index": -1,
        "trigger_id": trigger.id if trigger else None,
        "dag_version_id": version.id,
    }
    session.execute(insert(TaskInstance).values(**where, **task))
    xcom = {"task_id": "wait_for_data", "key": "x", "dag_run_id": number[0], "value": "1"}
    session.execute(insert(XComModel).values(**where, **xcom, timestamp=at))
    session.commit()


def runs(session: Session) -> set[str]:
    """Return the runs that are there, each with its task and its XCom."""
    tables = (DagRun, TaskInstance, XComModel)
    named, with_task, with_xcom = (set(session.scalars(select(one.run_id))) for one in tables)
    assert named == with_task == with_xcom
    return named


def test_what_has_ended_goes_with_its_tasks_and_what_is_open_stays(database: Session) -> None:
    """However old a run is that waits or was cleared, it keeps its tasks."""
    waits = Trigger(classpath="x", kwargs={}, created_date=NOW - timedelta(days=200))
    database.add(waits)
    database.commit()
    add_run(database, "ended", 100)
    add_run(database, "failed", 99, state="failed", kind=DagRunType.MANUAL)
    add_run(database, "waits", 200, state="running", trigger=waits)
    add_run(database, "cleared", 150, state="queued")
    add_run(database, "younger", 80)
    assert remove_runs(database, BEFORE) == 2
    assert runs(database) == {"waits", "cleared", "younger"}


def test_a_run_that_ended_lately_stays_however_long_ago_it_was_due(database: Session) -> None:
    """A backfill's run, and one that was cleared, were due long before they ended."""
    add_run(database, "long over", 200, ended=199)
    add_run(database, "cleared last night", 201, state="failed", ended=0.1)
    add_run(database, "backfilled", 300, kind=DagRunType.BACKFILL_JOB, ended=1)
    add_run(database, "newest", 95, ended=95)
    assert remove_runs(database, BEFORE) == 1
    assert runs(database) == {"cleared last night", "backfilled", "newest"}


def test_the_newest_scheduled_run_stays(database: Session) -> None:
    """Airflow counts the next one from it; runs that were triggered do not take its place."""
    add_run(database, "first", 300)
    add_run(database, "second", 200)
    add_run(database, "triggered", 100, kind=DagRunType.MANUAL)
    assert remove_runs(database, BEFORE) == 2
    assert runs(database) == {"second"}


def test_more_runs_than_one_transaction_takes_go_as_well(
    database: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go batch by batch."""
    monkeypatch.setattr("include.orchestration.upkeep.database.BATCH", 2)
    for number in range(5):
        add_run(database, f"run{number}", 100 + number)
    assert remove_runs(database, BEFORE) == 4
    assert runs(database) == {"run0"}


def test_a_version_of_a_dag_goes_with_the_last_task_that_names_it(database: Session) -> None:
    """The newest stays in any case."""
    add_run(database, "ended", 100, kind=DagRunType.MANUAL)
    remove_dag_versions(database, BEFORE)
    assert sorted(database.scalars(select(DagVersion.version_number))) == [1, 2]
    remove_runs(database, BEFORE)
    remove_dag_versions(database, BEFORE)
    assert database.scalars(select(DagVersion.version_number)).all() == [2]


def test_the_task_trims_a_whole_database_and_keeps_no_copy(
    database: Session,
    tmp_path: Path,
    context: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Runs and events go, triggers stay, and nothing is left of what was removed."""
    add_run(database, "ended", 100, kind=DagRunType.MANUAL)
    waits = Trigger(classpath="x", kwargs={}, created_date=NOW - timedelta(days=200))
    database.add(waits)
    database.commit()
    add_run(database, "waits", 200, state="running", trigger=waits)
    for days in (1, 100):
        database.add(Log(event=f"{days} days ago"))
        database.flush()
        newest = database.scalars(select(Log).order_by(Log.id.desc())).first()
        assert newest is not None
        newest.dttm = NOW - timedelta(days=days)
    database.commit()
    file = tmp_path / "airflow.db"
    connection = {"conn_type": "sqlite", "host": str(file)}
    monkeypatch.setenv("AIRFLOW_CONN_AIRFLOW_DB", json.dumps(connection))
    monkeypatch.setenv("RETRAINING_DATABASE_DAYS", "90")
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    # As Airflow has it in a task.
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "airflow-db-not-allowed:///")
    done = TrimDatabaseOperator(task_id="trim_database").execute(context())
    assert done.startswith("removed 1 runs that were due before ")
    database.expire_all()
    assert runs(database) == {"waits"}
    assert database.scalars(select(Log.event)).all() == ["1 days ago"]
    tables = database.connection().exec_driver_sql("SELECT name FROM sqlite_master").scalars()
    assert not [name for name in tables if name.startswith("_airflow_deleted")]
