"""A run with 100,000 finished runs in Airflow's database, against the same run with none.

And how long `upkeep` takes to remove them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks.many_models import Decided, ManyModels, many_models
from benchmarks.measuring import Row, run
from benchmarks.planted_runs import plant_runs

RUNS = "BENCH_HISTORY"
DEFAULT_RUNS = "100000"
BUSY = 4
"""Models that are retrained: few, so that each has a long history of its own."""
REPEATS = 3
MAX_GROWTH = 1.2
TRIM = """
import sys
from datetime import UTC, datetime
from include.orchestration.upkeep.database import trim
print(trim(datetime.now(UTC)))
"""


def measure(folder: Path) -> list[Row]:
    """Measure in an empty folder."""
    count = int(os.environ.get(RUNS, DEFAULT_RUNS))
    with many_models(folder, busy=BUSY) as fleet:
        fleet.decide()  # warms up, and is what is planted
        before = _best(fleet)
        fleet.airflow.stop()
        database = fleet.airflow.home / "airflow.db"
        size = database.stat().st_size
        plant_runs(database, fleet.dag_ids, count)
        grown = database.stat().st_size - size
        fleet.airflow.start()
        fleet.decide()  # warms up again
        after = _best(fleet)
        fleet.airflow.stop()
        trimmed = _trim(fleet)
        fleet.airflow.start()
        fleet.decide()
        trimmed_again = _best(fleet)
    what = f"{count:,} finished runs in the database"
    return [
        _row(f"flag → end of the run, {what} : none", before.seconds, after.seconds),
        _row(f"CPU of a run, {what} : none", before.cpu_per_model, after.cpu_per_model),
        _row("flag → end of the run, after upkeep : none", before.seconds, trimmed_again.seconds),
        Row("history", f"the database grew by, with {what}", f"{grown / 1e9:.2f} GB"),
        Row("history", "removed by upkeep in", f"{trimmed:.0f} s"),
    ]


def _best(fleet: ManyModels) -> Decided:
    return min((fleet.decide() for _ in range(REPEATS)), key=lambda decided: decided.seconds)


def _row(what: str, before: float, after: float) -> Row:
    return Row("history", what, f"{after:.1f} s", f"{before:.1f} s", after / before, MAX_GROWTH)


def _trim(fleet: ManyModels) -> float:
    """Return how many seconds it took to remove all runs but the newest of each DAG."""
    command = [sys.executable, "-c", TRIM]
    return run(command, folder=fleet.airflow.root, environment=fleet.airflow.environment).seconds
