"""From a flag on disk to a promotion that Slack was notified of, on small data.

Against the usual tutorial DAG on the same Airflow, from its flag on and from the moment it sees it,
and against a bare script. A sensor may find a flag at its next poll only, so flags are raised at
evenly spread moments between two polls.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import copy
from statistics import mean
from typing import Any

import psutil  # type: ignore[import-untyped]

from benchmarks.measuring import Row, best_seconds, python
from benchmarks.process_family import cpu_seconds
from include.local_airflow.cluster import LocalAirflow
from include.local_airflow.demo import samples
from include.local_airflow.demo.follow import FollowedRun, follow, wait_for_dags
from include.local_airflow.demo.store import store_connection
from include.local_airflow.ports import free_port
from include.local_airflow.rest_client import AirflowSession
from include.local_airflow.settings import apply_settings
from include.local_airflow.slack_receiver import SlackReceiver
from include.retraining.config.model import load_model
from include.retraining.store import marker as store_marker
from tests.support.repository_copy import copy_repository

HERE = Path(__file__).parent
MODEL = "diabetes_progression"
OURS = f"retrain_{MODEL}"
PLAIN = "plain_tutorial"
PLAIN_POKE_SECONDS = 30.0
PHASES = (1 / 6, 3 / 6, 5 / 6)
"""When flags are raised, as parts of the time between two polls of the sensor."""
RUN_SECONDS = 300.0
# The goals.
MAX_OF_PLAIN = 0.40
MAX_OF_PLAIN_BEHIND_ITS_FLAG = 1.1
MAX_CPU_SECONDS = 7.0
# What each job imports where it is not forked from a process that has imported it; the model's own
# file brings scikit-learn.
MODULES = {
    "validate": f"include.retraining.steps.validate, include.models.{MODEL}",
    "train": f"include.retraining.steps.train, include.models.{MODEL}",
    "evaluate": f"include.retraining.steps.evaluate, include.models.{MODEL}",
    "card": "include.retraining.model_card.render",
}


@dataclass(frozen=True)
class Flow:
    """One of the two DAGs and how its data is delivered."""

    dag_id: str
    sensor: str
    waiting_state: str
    """The state of the sensor while it waits."""
    poke_seconds: float
    deliver: Callable[[int], None]
    """Writes data that differs from the last, by number, and then the flag."""
    words: str
    """What the Slack message at the end says."""


@dataclass(frozen=True)
class Passage:
    """One way from a flag to a message."""

    run_id: str
    seconds: float
    flag_at: datetime
    cpu_seconds: float
    """From the flag to the end of the run, without the scheduler's own."""
    tasks: dict[str, dict[str, Any]]

    def since_flag(self, task_id: str, moment: str) -> float | None:
        """Return when a task was queued, started or ended, in seconds; None where it was not."""
        text = self.tasks[task_id][moment]
        if text is None:
            return None
        return (datetime.fromisoformat(text) - self.flag_at).total_seconds()

    def since_seen(self, sensor: str) -> float:
        """Return the seconds from the moment at which the sensor saw the flag."""
        return self.seconds - (self.since_flag(sensor, "end_date") or 0.0)


def measure(folder: Path) -> list[Row]:
    """Measure in an empty folder."""
    root = copy_repository(folder / "repository")
    copy(HERE / "plain_dag.py", root / "dags" / f"{PLAIN}.py")
    copy(HERE / "import_times.py", root / "plugins" / "import_times.py")
    imports = folder / "imports.jsonl"
    imports.touch()
    plain_folder = folder / "plain"
    plain_folder.mkdir()
    store = store_marker.initialise((folder / "store").as_uri())
    with SlackReceiver(folder / "slack.jsonl") as slack:
        airflow = LocalAirflow(
            root,
            folder / "airflow",
            port=free_port(),
            environment={
                "AIRFLOW_CONN_STORE": store_connection(store.uri, {}),
                "AIRFLOW_CONN_SLACK_ALERTS": slack.connection,
                "AIRFLOW_CONN_FS_DEFAULT": '{"conn_type": "fs", "extra": {"path": "/"}}',
                "BENCH_PLAIN_FOLDER": str(plain_folder),
                "BENCH_IMPORTS": str(imports),
            },
        )
        started = datetime.now(UTC)
        with airflow:
            api = AirflowSession(airflow.url, airflow.username, airflow.password)
            apply_settings(root / "airflow_settings.yaml", api)
            wait_for_dags(airflow, api, [OURS, PLAIN], started)

            def land_ours(number: int) -> None:
                store.write(f"landing/{MODEL}/patients.csv", numbered_data(number))
                samples.raise_flag(store, f"landing/{MODEL}")

            def land_plain(number: int) -> None:
                (plain_folder / "patients.csv").write_bytes(numbered_data(number))
                (plain_folder / "ready.flag").write_text("ready")

            poke = load_model(MODEL).trigger.poke_seconds
            flows = (
                Flow(OURS, "wait_for_data", "deferred", poke, land_ours, "a new version serves"),
                Flow(
                    PLAIN,
                    "wait_for_file",
                    "running",
                    PLAIN_POKE_SECONDS,
                    land_plain,
                    "plain: a new",
                ),
            )
            passages: dict[str, list[Passage]] = {flow.dag_id: [] for flow in flows}
            # The first passage of each warms Airflow up and is not counted.
            for number, phase in enumerate((0.0, *PHASES)):
                for flow in flows:
                    passage = _pass(airflow, api, slack, flow, number=number, phase=phase)
                    (plain_folder / "ready.flag").unlink(missing_ok=True)
                    if number:
                        passages[flow.dag_id].append(passage)
            api.close()
        script = _script(slack, plain_folder)
    return [
        *_goals(passages, flows, script),
        *_hops(passages, flows, imports),
        *_imports_of_jobs(root),
    ]


def numbered_data(number: int) -> bytes:
    """Return the sample data with another last row each time, so that nothing is `no_change`."""
    lines = samples.diabetes_progression().decode().splitlines()
    return "\n".join([*lines[: len(lines) - number], ""]).encode()


def _pass(
    airflow: LocalAirflow,
    api: AirflowSession,
    slack: SlackReceiver,
    flow: Flow,
    *,
    number: int,
    phase: float,
) -> Passage:
    """Start a run, raise the flag while it waits, and measure until Slack hears."""
    api.set_paused(flow.dag_id, is_paused=False)
    run_id = api.trigger(flow.dag_id)
    before = len(slack.messages)

    def waits() -> bool:
        task = api.tasks(flow.dag_id, run_id).get(flow.sensor)
        return task is not None and task["state"] == flow.waiting_state

    airflow.wait_for(waits, f"{flow.sensor} that waits", 60, pause_seconds=0.05)
    time.sleep(phase * flow.poke_seconds)  # the moment is what is being varied
    used = _cpu_seconds(airflow)
    flag_at, started = datetime.now(UTC), time.perf_counter()
    flow.deliver(number)

    def has_come(messages: list[dict[str, Any]]) -> bool:
        return any(flow.words in str(item.get("text")) for item in messages[before:])

    slack.wait_for(has_come, RUN_SECONDS)
    seconds = time.perf_counter() - started
    run = FollowedRun(flow.dag_id, run_id)
    follow(airflow, api, [run], lambda *_: None, RUN_SECONDS)
    return Passage(run_id, seconds, flag_at, _cpu_seconds(airflow) - used, run.tasks)


def _cpu_seconds(airflow: LocalAirflow) -> float:
    """Return what all processes have used, without what the scheduler itself did."""
    scheduler = psutil.Process(airflow.pid("scheduler")).cpu_times()
    return cpu_seconds() - scheduler.user - scheduler.system


def _script(slack: SlackReceiver, folder: Path) -> float:
    connection = json.loads(slack.connection)
    hook = f"{connection['host']}/{connection['password']}"
    arguments = (str(HERE / "bare_small.py"), str(folder), hook)
    return min(python(*arguments, folder=folder).seconds for _ in range(3))


def _goals(passages: dict[str, list[Passage]], flows: tuple[Flow, ...], script: float) -> list[Row]:
    """Return the rows of the goals, and what they were measured against."""
    ours, plain = (mean(item.seconds for item in passages[flow.dag_id]) for flow in flows)
    cpu, plain_cpu = (mean(item.cpu_seconds for item in passages[flow.dag_id]) for flow in flows)
    behind = mean(item.since_seen(flows[1].sensor) for item in passages[PLAIN])
    return [
        Row(
            "small",
            "flag → promoted and notified : plain DAG",
            f"{ours:.1f} s",
            f"{plain:.1f} s",
            ours / plain,
            MAX_OF_PLAIN,
        ),
        Row(
            "small",
            "the same : plain DAG, from the moment it sees its flag",
            f"{ours:.1f} s",
            f"{behind:.1f} s",
            ours / behind,
            MAX_OF_PLAIN_BEHIND_ITS_FLAG,
        ),
        Row(
            "small",
            "CPU per run, without the scheduler's own : allowed",
            f"{cpu:.1f} s",
            f"{MAX_CPU_SECONDS:.1f} s",
            cpu / MAX_CPU_SECONDS,
            1.0,
        ),
        Row("small", "CPU per run : plain DAG", f"{cpu:.1f} s", f"{plain_cpu:.1f} s"),
        Row(
            "small",
            "flag → promoted and notified : bare script (which waits for nothing)",
            f"{ours:.1f} s",
            f"{script:.1f} s",
            ours / script,
        ),
    ]


def _hops(passages: dict[str, list[Passage]], flows: tuple[Flow, ...], imports: Path) -> list[Row]:
    """Return a row per task of the last passages: its times from the flag on, and its imports."""
    imported: dict[tuple[str, str], dict[str, Any]] = {}
    for line in imports.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        imported[entry["run"], entry["task"]] = entry
    rows = []
    for flow in flows:
        last = passages[flow.dag_id][-1]
        for task_id, task in last.tasks.items():
            if task["state"] == "success":
                text, slowest = _hop(last, task_id, imported.get((last.run_id, task_id)))
                rows.append(Row("hops", f"{flow.dag_id}.{task_id}", text, slowest))
    return rows


def _hop(passage: Passage, task_id: str, imported: dict[str, Any] | None) -> tuple[str, str]:
    """Return a task's times, and what its process imported longest."""

    def since(moment: str) -> str:
        seconds = passage.since_flag(task_id, moment)
        return "–" if seconds is None else f"{seconds:.1f}"  # noqa: RUF001 a dash

    text = f"queued {since('queued_when')}, started {since('start_date')}, "
    text += f"ended {since('end_date')}"
    if imported is None:
        return text, ""
    slowest = list(imported["slowest"].items())[:2]
    names = ", ".join(f"{name} {seconds:.2f}" for name, seconds in slowest)
    return f"{text}; imports {imported['seconds']:.2f} s", f"{imported['modules']}: {names}"


def _imports_of_jobs(root: Path) -> list[Row]:
    nothing = best_seconds("pass", folder=root)
    return [
        Row("imports", step, f"{best_seconds(f'import {module}', folder=root) - nothing:.2f} s")
        for step, module in MODULES.items()
    ]
