"""What a pass of `watch_models` costs by the number of runs that ever were: requests and time.

The tasks are the real ones, one after the other in this process. Airflow's answers are given at
once and counted: a real one takes some milliseconds for each. All runs of the past have decided.
The first pass over a store takes stock of it; the passes after it are the ones that count.

`BENCH_WATCH=1000,1000,10000` sets how many models, and the numbers of runs that are compared.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from benchmarks.measuring import Row
from benchmarks.past import AIRFLOW, Past, recently
from benchmarks.s3_of_the_past import BUCKET, s3_of
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.counting_store import CountingStore

SIZES = os.environ.get("BENCH_WATCH", "20,100,1000")
PASSES = 5
MAX_STOCK = 20
LIMIT_REQUESTS = 4.0
LIMIT_SECONDS = 60.0
LIMIT_GROWTH = 1.1
TASKS = ("resend_notices", "close_dead_runs", "stop_lost_jobs", "check_models")


class _Airflow:
    """An Airflow in which every run has ended well; it counts what it is asked."""

    def __init__(self, past: Past) -> None:
        self.past, self.asked = past, 0
        run = past.run(past.names[0], past.runs - 1)
        self.newest = SimpleNamespace(
            run_id=run.run_id,
            run_after=run.run_after,
            logical_date=run.run_after,
            state="success",
            end_date=run.run_after,
            clear_number=0,
            run_type="scheduled",
            triggering_user_name=None,
        )

    def find_run(self, _: str, run_id: str) -> Any:
        """Return a run."""
        self.asked += 1
        due = datetime.fromisoformat(run_id.partition("__")[2])
        found = {"run_id": run_id, "run_after": due, "logical_date": due, "end_date": due}
        return SimpleNamespace(**{**vars(self.newest), **found})

    def newest_runs(self, *_: Any) -> Iterator[Any]:
        """Yield the newest run."""
        self.asked += 1
        yield self.newest

    def is_paused(self, _: str) -> bool:
        """Return that no DAG is."""
        self.asked += 1
        return False


@contextmanager
def _patched(store: Store, airflow: _Airflow) -> Iterator[dict[str, Callable[[], Any]]]:
    """Let the tasks work on a store, and ask that Airflow."""
    os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    from include.orchestration.watch import ended_runs, follow_runs, models, tasks
    from include.retraining.config.model import load_model

    shipped = load_model("loan_approval")
    configs = {name: airflow.past.config(shipped, name) for name in airflow.past.names}
    context = {"dag": SimpleNamespace(dag_id="watch_models"), "ti": SimpleNamespace(log_url=None)}
    with (
        patch.object(tasks, "_open", lambda: store),
        patch.object(tasks, "get_current_context", lambda: context),
        patch.object(tasks, "model_names", lambda: airflow.past.names),
        patch.object(models, "load_model", configs.__getitem__),
        patch.object(models, "is_paused", airflow.is_paused),
        patch.object(models, "newest_runs", airflow.newest_runs),
        patch.object(models, "repository_url", lambda _: None),
        patch("include.orchestration.runtime.urls.repository_url", lambda _: None),
        patch.object(ended_runs, "find_run", airflow.find_run),
        patch.object(follow_runs, "newest_runs", airflow.newest_runs),
        patch.object(ended_runs, "airflow_url", lambda: AIRFLOW),
    ):
        yield {name: getattr(tasks, name) for name in TASKS}


class Pass:
    """What one pass took, task by task."""

    def __init__(self, store: CountingStore, airflow: _Airflow) -> None:
        """Run the tasks of the watch once, one after the other."""
        self.seconds: dict[str, float] = {}
        self.requests: dict[str, Counter[str]] = {}
        before = airflow.asked
        with _patched(store, airflow) as run:
            for name in TASKS:
                store.counts.clear()
                started = time.perf_counter()
                run[name]()
                self.seconds[name] = time.perf_counter() - started
                self.requests[name] = Counter(store.counts)
        self.questions = airflow.asked - before

    @property
    def total(self) -> float:
        """Seconds of all tasks together."""
        return sum(self.seconds.values())

    @property
    def count(self) -> int:
        """Requests to the store, of all tasks together."""
        return sum(sum(counts.values()) for counts in self.requests.values())

    def words(self) -> str:
        """Return what each task asked of the store."""
        return ", ".join(
            f"{name} {' '.join(f'{many:,} {what}' for what, many in counts.items())}"
            for name, counts in self.requests.items()
            if counts
        )


def measure(folder: Path) -> list[Row]:
    """Measure in an empty folder."""
    os.environ.setdefault("AIRFLOW_HOME", str(folder / "airflow"))
    models, *runs = (int(number) for number in SIZES.split(","))
    rows: list[Row] = []
    for place in ("a folder", "S3, 20 ms away"):
        passes = {}
        for number in runs:
            past = Past(models, number, recently())
            passes[number] = _on(place, past, folder / f"{models}-{number}")
            rows += _rows(place, past, *passes[number])
        few, many = (passes[number][1] for number in runs)
        rows += [
            Row(
                "watch",
                f"{place}: a pass with {runs[1]:,} runs : {runs[0]:,}",
                f"{many.total:.2f} s",
                f"{few.total:.2f} s",
                many.total / few.total,
                LIMIT_GROWTH,
            ),
            Row(
                "watch",
                f"{place}: requests with {runs[1]:,} runs : {runs[0]:,}",
                f"{many.count:,}",
                f"{few.count:,}",
                many.count / few.count,
                LIMIT_GROWTH,
            ),
        ]
    return rows


def _on(place: str, past: Past, folder: Path) -> tuple[list[Pass], Pass]:
    """Return as `_passes`, of a store in such a place."""
    airflow = _Airflow(past)
    if place == "a folder":
        store = CountingStore(initialise(folder.as_uri(), {}).uri, {})
        past.write(store)
        return _passes(store, airflow)
    with s3_of(past) as (options, _):
        initialise(f"s3://{BUCKET}", options)
        return _passes(CountingStore(f"s3://{BUCKET}", options), airflow)


def _passes(store: CountingStore, airflow: _Airflow) -> tuple[list[Pass], Pass]:
    """Return the passes that took stock, in which each model is checked in full, and a usual one.

    A pass has a limited time: of many models it checks some, and the next one goes on.
    """
    stock = [Pass(store, airflow)]
    while len(stock) < MAX_STOCK and stock[-1].count > LIMIT_REQUESTS * airflow.past.models:
        stock.append(Pass(store, airflow))
    usual = min((Pass(store, airflow) for _ in range(PASSES)), key=lambda one: one.total)
    return stock, usual


def _rows(place: str, past: Past, stock: list[Pass], usual: Pass) -> list[Row]:
    what = f"{place}: {past.models:,} models of {past.runs:,} runs"
    return [
        Row(
            "watch",
            f"{what}: requests per model and pass",
            f"{usual.count / past.models:.2f}",
            f"{LIMIT_REQUESTS:g} allowed",
            usual.count / past.models / LIMIT_REQUESTS,
            1.0,
        ),
        Row(
            "watch",
            f"{what}: time of a pass",
            f"{usual.total:.2f} s",
            f"{LIMIT_SECONDS:g} s allowed",
            usual.total / LIMIT_SECONDS,
            1.0,
        ),
        Row(
            "watch",
            f"{what}: questions to Airflow; taking stock first",
            f"{usual.questions / past.models:.1f} per model",
            f"{sum(one.count for one in stock) / past.models:.1f} requests per model, "
            f"{sum(one.total for one in stock):.1f} s in {len(stock)} passes",
        ),
        Row("watch", f"{what}: by task", usual.words()),
    ]
