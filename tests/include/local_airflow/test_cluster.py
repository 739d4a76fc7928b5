"""Airflow on one machine starts, is watched over, and ends without leaving a process behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from include.local_airflow.cluster import COMPONENTS, LocalAirflow
from include.local_airflow.demo.follow import DagBroken, FollowedRun, follow, wait_for_dags
from include.local_airflow.errors import ComponentEnded, PortTaken, TookTooLong
from include.local_airflow.ports import free_port
from include.local_airflow.rest_client import AirflowSession
from include.retraining.exceptions import AirflowUnreachable
from tests.support.airflow_harness import migrated

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
MARK = "RETRAINING_TEST_MARK"
DAG = """
import subprocess, sys, time
from datetime import datetime, timezone
from airflow.sdk import dag, task

@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc))
def busy():
    @task
    def sleep():
        # A child of the task that does not end when it is asked to, in a group of its own.
        body = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        subprocess.Popen([sys.executable, "-c", body], process_group=0)
        time.sleep(600)
    sleep()

busy()

@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc))
def quick():
    @task
    def one():
        return 1
    @task
    def two(value):
        return value + 1
    two(one())

quick()
"""
PROGRAM = """
import sys
from datetime import datetime, timezone
from pathlib import Path
from include.local_airflow.rest_client import AirflowSession
from include.local_airflow.cluster import LocalAirflow
from include.local_airflow.demo.follow import wait_for_dags

since = datetime.now(timezone.utc)
with LocalAirflow(Path(sys.argv[1]), Path(sys.argv[2]), port=int(sys.argv[3])) as airflow:
    api = AirflowSession(airflow.url, airflow.username, airflow.password)
    wait_for_dags(airflow, api, ["busy"], since)
    api.set_paused("busy", is_paused=False)
    run = api.trigger("busy")
    running = lambda: api.tasks("busy", run)["sleep"]["state"] == "running"
    airflow.wait_for(running, "running task", 60)
    print("ready", flush=True)
    airflow.wait_for(lambda: None, "end", 600)
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A folder with two DAGs."""
    root = tmp_path / "bundle"
    (root / "dags").mkdir(parents=True)
    (root / "plugins").mkdir()
    (root / "dags" / "two.py").write_text(DAG)
    (root / ".airflowignore").write_text("*\n!dags/\n!dags/**\n")
    return root


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose database is migrated already."""
    migrated(tmp_path / "home")
    return tmp_path / "home"


def marked(mark: str) -> list[psutil.Process]:
    """Return every living process whose environment holds a mark."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark and process.status() != "zombie":
                found.append(process)
    return found


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those of the processes that still live."""
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != "zombie":
                found.append(process)
    return found


@pytest.fixture
def mark() -> Iterator[str]:
    """A mark that processes inherit; whoever still carries it at the end is killed."""
    mark = uuid.uuid4().hex
    yield mark
    for process in marked(mark):
        with suppress(psutil.Error):
            process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="looks for survivors in /proc")
def test_nothing_survives(bundle: Path, home: Path, mark: str) -> None:
    """The program is killed, and no process of Airflow or of a running task is left behind."""
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(bundle), str(home), str(free_port())],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, MARK: mark},
        text=True,
    )
    assert program.stdout is not None
    with program.stdout:
        assert program.stdout.readline() == "ready\n"
        # A process that changes its title loses its environment, so remember the family too.
        family = psutil.Process(program.pid).children(recursive=True)
        assert len(family) > 15
        program.kill()
        program.wait(timeout=60)
    deadline = time.monotonic() + 60
    while (left := [*alive(family), *marked(mark)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


class LateOnce(AirflowSession):
    """Does not answer the first question about a run's tasks in time."""

    was_late = False

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Answer from the second time on."""
        if not self.was_late:
            self.was_late = True
            raise AirflowUnreachable("GET /taskInstances: Airflow does not answer")
        return super().tasks(dag_id, run_id)


def test_life_of_an_airflow(bundle: Path, home: Path) -> None:
    """It runs a DAG, names a broken file, and says which component ended and why."""
    since = datetime.now(UTC)
    with LocalAirflow(bundle, home, port=free_port()) as airflow:
        api = AirflowSession(airflow.url, airflow.username, airflow.password)
        late_once = LateOnce(airflow.url, airflow.username, airflow.password)
        wait_for_dags(airflow, api, ["quick"], since)
        api.set_paused("quick", is_paused=False)
        run = FollowedRun("quick", api.trigger("quick"))
        seen: list[str] = []
        follow(airflow, late_once, [run], lambda _, task: seen.append(task["task_id"]), 60)
        assert late_once.was_late
        assert (run.state, seen) == ("success", ["one", "two"])
        assert api.xcom("quick", run.run_id, "two") == 2
        assert api.xcom("quick", run.run_id, "two", key="nothing") is None
        assert "Done. Returned value was: 2" in api.log("quick", run.run_id, "two")

        late = FollowedRun("busy", api.trigger("busy"))
        with pytest.raises(TookTooLong, match=r"busy \(queued: no task runs\)"):
            follow(airflow, api, [late], lambda *_: None, 0)

        (bundle / "dags" / "broken.py").write_text("from airflow.sdk import dag\n1 / 0\n")
        with pytest.raises(DagBroken, match=r"(?s)DAG other .*broken\.py.*ZeroDivisionError"):
            wait_for_dags(airflow, api, ["other"], since)

        assert {airflow.pid(component) for component in COMPONENTS} <= set(psutil.pids())
        os.kill(airflow.pid("triggerer"), signal.SIGKILL)
        with pytest.raises(ComponentEnded, match="triggerer ended with exit code 137") as caught:
            airflow.wait_for(lambda: None, "end", 60)
        assert len(str(caught.value).splitlines()) > 3, "the end of its log is missing"
        api.close()
        late_once.close()

    assert oct((airflow.home / "secrets.json").stat().st_mode & 0o777) == "0o600"
    assert airflow.password not in "".join(
        file.read_text(errors="replace") for file in airflow.log_folder.glob("*.log")
    )


def test_port_taken(bundle: Path, tmp_path: Path) -> None:
    """A taken port is said in one line before anything starts."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        airflow = LocalAirflow(bundle, tmp_path / "home", port=port)
        with pytest.raises(PortTaken, match=rf"^port {port} for Airflow's UI .*PORT=8081$"):
            airflow.start()
    assert not (tmp_path / "home" / "airflow.db").exists()


def test_environment(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another Airflow's settings in the shell do not change this one, and its own win."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__CORE__FANCY", "1")
    monkeypatch.setenv("AIRFLOW_HOME", "/elsewhere")
    environment = LocalAirflow(
        bundle,
        tmp_path / "home",
        environment={"AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "7"},
    ).environment
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert environment["AIRFLOW_HOME"] == str(tmp_path / "home")
    assert "AIRFLOW__CORE__FANCY" not in environment
    assert environment["AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME"] == "7"
