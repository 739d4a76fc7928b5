"""What a backend costs beside the job itself, against the provider's plain operator.

Both on the same Airflow and the same platforms on loopback, looking at the job once a second. The
overhead is the time from a task's start to its end (ours: to the verified result), less the time
the job took by itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from shutil import copy
from statistics import mean
from typing import Any

from benchmarks.measuring import Row
from include.local_airflow.demo import samples
from tests.support.airflow_harness import Stage
from tests.support.backend_models import Platforms, everywhere, on_batch, on_kubernetes, platforms
from tests.support.repository_copy import add_model, copy_repository

HERE = Path(__file__).parent
PLAIN = "plain_operators"
PLAIN_TASK = "validate"
REPEATS = 3
LIMIT_SECONDS = 1.0
"""How much more our operators may take, for verifying the result."""
STEPS = {"validate_data": "validate", "train_model": "train", "evaluate_model": "evaluate"}
MODELS = {
    "batch": everywhere(on_batch(poll_seconds=1)),
    "kubernetes": everywhere(on_kubernetes(poll_seconds=1)),
}


def measure(folder: Path) -> list[Row]:
    """Measure in an empty folder."""
    root = copy_repository(folder / "repository")
    copy(HERE / "plain_operators.py", root / "dags" / f"{PLAIN}.py")
    for backend, values in MODELS.items():
        add_model(root, backend, values=values)
    log = folder / "jobs.jsonl"
    log.touch()
    command = [sys.executable, str(HERE / "timed_job.py"), str(log)]
    with platforms(folder, root, command=command) as here:
        ours: dict[str, list[float]] = {backend: [] for backend in MODELS}
        plain: dict[str, list[float]] = {backend: [] for backend in MODELS}
        slots = 0
        run_uri = ""
        for number in range(REPEATS):
            for backend in MODELS:
                here.airflow.land(backend, _data(number))
                run_id, held = _run(here, backend)
                slots = max(slots, held)
                record = here.airflow.record(backend, run_id)
                run_uri = f"{here.airflow.store.uri}/models/{backend}/runs/{record.run}"
                tasks = here.airflow.api.tasks(f"retrain_{backend}", run_id)
                for task_id, step in STEPS.items():
                    seconds = _seconds(tasks[task_id]) - _job_seconds(log, step, run_uri)
                    ours[backend].append(seconds)
                plain[backend].append(_plain(here.airflow, backend, log, run_uri))
    rows = [_row(backend, mean(ours[backend]), mean(plain[backend])) for backend in MODELS]
    return [*rows, Row("backends", "worker slots held while a job runs", str(slots), "0")]


def _data(number: int) -> bytes:
    """Return the sample data with another last row each time, so that nothing is `no_change`."""
    lines = samples.diabetes_progression().decode().splitlines()
    return "\n".join([*lines[: len(lines) - number], ""]).encode()


def _run(here: Platforms, backend: str) -> tuple[str, int]:
    """Run a model to its end; return the run and the slots held while its tasks waited."""
    run_id = here.airflow.start_run(backend)
    held = 0

    def has_ended() -> bool:
        nonlocal held
        tasks = here.airflow.api.tasks(f"retrain_{backend}", run_id)
        states = [tasks[task]["state"] for task in STEPS if task in tasks]
        if "deferred" in states:
            pools = here.airflow.api.request("GET", "/pools")["pools"]
            now = here.airflow.api.tasks(f"retrain_{backend}", run_id)
            if any(now[task]["state"] == "deferred" for task in STEPS):
                held = max(held, sum(pool["running_slots"] for pool in pools))
        return here.airflow.api.run(f"retrain_{backend}", run_id)["state"] in {"success", "failed"}

    here.airflow.wait_for(has_ended, f"end of {backend}", 300)
    ended = here.airflow.wait_for_end(backend, run_id)
    if ended.state != "success":
        raise RuntimeError(f"{backend}: {ended.tasks}")
    return run_id, held


def _plain(airflow: Stage, backend: str, log: Path, run_uri: str) -> float:
    """Run the provider's operator once, on a step that is done, and return its overhead."""
    dag_id = f"plain_{backend}"
    airflow.wait_for(lambda: airflow.api.dag(dag_id), f"DAG {dag_id}")
    airflow.api.set_paused(dag_id, is_paused=False)
    run_id = airflow.api.trigger(dag_id, {"run": run_uri})
    airflow.wait_for(
        lambda: airflow.api.run(dag_id, run_id)["state"] in {"success", "failed"}, "its end", 300
    )
    task = airflow.api.tasks(dag_id, run_id)[PLAIN_TASK]
    if task["state"] != "success":
        scheduler = airflow.airflow.log_file("scheduler").read_text()[-3000:]
        text = airflow.api.log(dag_id, run_id, PLAIN_TASK)[-3000:]
        raise RuntimeError(f"{dag_id}: {task['state']}\n{text}\n{scheduler}")
    return _seconds(task) - float(_entries(log)[-1]["seconds"])


def _seconds(task: Mapping[str, Any]) -> float:
    start, end = (datetime.fromisoformat(task[name]) for name in ("start_date", "end_date"))
    return (end - start).total_seconds()


def _entries(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def _job_seconds(log: Path, step: str, run_uri: str) -> float:
    return next(
        float(entry["seconds"])
        for entry in reversed(_entries(log))
        if entry["arguments"][0] == step and run_uri in entry["arguments"]
    )


def _row(backend: str, ours: float, plain: float) -> Row:
    return Row(
        "backends",
        f"{backend}: overhead of a step : the provider's operator",
        f"{ours:.1f} s",
        f"{plain:.1f} s",
        ours / plain,
        (plain + LIMIT_SECONDS) / plain,
    )
