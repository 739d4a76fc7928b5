"""From a flag on disk to a promotion that Slack was told of, on small data.

Against the usual tutorial DAG on the same Airflow, and against a bare script. A flag is found at
the sensor's next look, so flags are raised at evenly spread moments between two looks.
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

from benchmarks.measuring import Row, best_seconds, python
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
"""When flags are raised, as parts of the time between two looks of the sensor."""
RUN_SECONDS = 300.0
# What each child imports; the jobs also import the model's own file, which brings scikit-learn.
MODULES = {
    "plan_run": "include.retraining.steps.plan",
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

    seconds: float
    flag_at: datetime
    tasks: dict[str, dict[str, Any]]


def measure(folder: Path) -> list[Row]:
    """Measure in an empty folder."""
    root = copy_repository(folder / "repository")
    copy(HERE / "plain_dag.py", root / "dags" / f"{PLAIN}.py")
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
            },
        )
        started = datetime.now(UTC)
        with airflow:
            api = AirflowSession(airflow.url, airflow.username, airflow.password)
            apply_settings(root / "airflow_settings.yaml", api)
            wait_for_dags(airflow, api, [OURS, PLAIN], started)

            def land_ours(number: int) -> None:
                store.write(f"landing/{MODEL}/patients.csv", _data(number))
                samples.raise_flag(store, f"landing/{MODEL}")

            def land_plain(number: int) -> None:
                (plain_folder / "patients.csv").write_bytes(_data(number))
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
    return _rows(passages, flows, script, root)


def _data(number: int) -> bytes:
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
    flag_at, started = datetime.now(UTC), time.perf_counter()
    flow.deliver(number)

    def told(messages: list[dict[str, Any]]) -> bool:
        return any(flow.words in str(item.get("text")) for item in messages[before:])

    slack.wait_for(told, RUN_SECONDS)
    seconds = time.perf_counter() - started
    run = FollowedRun(flow.dag_id, run_id)
    follow(airflow, api, [run], lambda *_: None, RUN_SECONDS)
    return Passage(seconds, flag_at, run.tasks)


def _script(slack: SlackReceiver, folder: Path) -> float:
    connection = json.loads(slack.connection)
    hook = f"{connection['host']}/{connection['password']}"
    arguments = (str(HERE / "bare_small.py"), str(folder), hook)
    return min(python(*arguments, folder=folder).seconds for _ in range(3))


def _rows(
    passages: dict[str, list[Passage]], flows: tuple[Flow, ...], script: float, root: Path
) -> list[Row]:
    ours, plain = (mean(item.seconds for item in passages[flow.dag_id]) for flow in flows)
    rows = [
        Row(
            "small",
            "flag → promoted and told : plain DAG",
            f"{ours:.1f} s",
            f"{plain:.1f} s",
            ours / plain,
            1.0,
        ),
        Row(
            "small",
            "the same : bare script (which waits for nothing)",
            f"{ours:.1f} s",
            f"{script:.1f} s",
            ours / script,
        ),
    ]
    for flow in flows:
        rows += _hops(passages[flow.dag_id], flow)
    nothing = best_seconds("pass", folder=root)
    for step, module in MODULES.items():
        seconds = best_seconds(f"import {module}", folder=root) - nothing
        rows.append(Row("imports", step, f"{seconds:.2f} s"))
    return rows


def _hops(passages: list[Passage], flow: Flow) -> list[Row]:
    """Return a row per task of the last passage: queued, started and ended, from the flag on."""
    last = passages[-1]

    def since(text: str | None) -> str:
        if text is None:
            return "–"  # noqa: RUF001 a dash
        return f"{(datetime.fromisoformat(text) - last.flag_at).total_seconds():.1f}"

    rows = []
    for task_id, task in last.tasks.items():
        if task["state"] == "success":
            times = [since(task[name]) for name in ("queued_when", "start_date", "end_date")]
            text = f"queued {times[0]}, started {times[1]}, ended {times[2]}"
            rows.append(Row("hops", f"{flow.dag_id}.{task_id}", text))
    return rows
