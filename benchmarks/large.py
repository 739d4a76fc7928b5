"""Millions of rows: the jobs' time and peak memory against a bare script's."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring import Row, Used, python
from tests.support.repository_copy import copy_repository

HERE = Path(__file__).parent
MODEL = "bench_rows"
FEATURES = 18
CHUNK = 1_000_000
STEPS = ("validate", "train", "evaluate")
SIZES = {1_000_000: (None, None), 10_000_000: (1.5, 1.25)}
"""Rows, with the greatest acceptable ratios of time and of memory."""

# Plans a run in the copy of the repository, as the task `plan_run` does, and prints its address.
PLAN = """
import sys
from datetime import datetime, timezone
from include.retraining.steps import plan as planning
from include.retraining.config.model import load_model
from include.retraining.store.layout import RunPaths
from include.retraining.store.marker import open_store
from include.retraining.runs.manifest import TriggeredBy, Params

store = open_store(sys.argv[1])
now = datetime.now(timezone.utc)
plan = planning.plan_run(
    store, load_model("bench_rows"), dag_id="retrain_bench_rows", run_id="bench", run_after=now,
    params=Params(date=now.date()), cause=TriggeredBy(run_type="manual"),
)
print(RunPaths(plan.model, plan.run).uri(store.uri))
"""


def measure(folder: Path) -> list[Row]:
    """Measure in an empty folder."""
    root = copy_repository(folder / "repository")
    for ending in ("yaml", "py"):
        shutil.copy(HERE / f"rows.{ending}", root / "include" / "models" / f"{MODEL}.{ending}")
    rows: list[Row] = []
    for size, limits in SIZES.items():
        place = folder / f"{size}"
        rows += _measure_size(root, place, size, limits)
        shutil.rmtree(place)
    return rows


def _measure_size(
    root: Path, place: Path, size: int, limits: tuple[float | None, float | None]
) -> list[Row]:
    store = place / "store"
    landing = store / "landing" / MODEL
    landing.mkdir(parents=True)
    data = landing / "rows.parquet"
    generate(data, size)
    (landing / "ready.flag").write_text(datetime.now(UTC).isoformat())
    environment = {"RETRAINING_STORE": store.as_uri(), "PYTHONPATH": ""}
    python("-m", "include.retraining", "init", folder=root, environment=environment)
    plan = python("-c", PLAN, store.as_uri(), folder=root, environment=environment)
    run = plan.output.splitlines()[-1]
    bare = python(str(HERE / "bare_rows.py"), str(data), folder=root)
    jobs = {step: _job(step, run, root, environment) for step in STEPS}
    seconds = sum(job.seconds for job in jobs.values())
    peak = max(job.peak_bytes for job in jobs.values())
    part = f"{size // 1_000_000} M rows"
    each = ", ".join(f"{step} {job.seconds:.0f}" for step, job in jobs.items())
    memory = ", ".join(f"{step} {_gigabytes(job.peak_bytes)}" for step, job in jobs.items())
    return [
        Row(
            part,
            f"jobs : bare script, time ({each})",
            f"{seconds:.1f} s",
            f"{bare.seconds:.1f} s",
            seconds / bare.seconds,
            limits[0],
        ),
        Row(
            part,
            f"jobs : bare script, peak memory ({memory})",
            f"{_gigabytes(peak)} GB",
            f"{_gigabytes(bare.peak_bytes)} GB",
            peak / bare.peak_bytes,
            limits[1],
        ),
        Row(part, "pinning the delivery (plan_run, hashes every byte)", f"{plan.seconds:.1f} s"),
    ]


def _job(step: str, run: str, root: Path, environment: dict[str, str]) -> Used:
    arguments = ("-m", "include.retraining", step, "--run", run, "--attempt", "bench")
    return python(*arguments, folder=root, environment=environment)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f}"


def generate(file: Path, size: int) -> None:
    """Write rows whose label depends on some of the columns; the same rows every time."""
    random = np.random.default_rng(1)
    names = ["row_id", *(f"x{number:02d}" for number in range(FEATURES)), "label"]
    writer: pq.ParquetWriter | None = None
    for start in range(0, size, CHUNK):
        count = min(CHUNK, size - start)
        values = random.normal(size=(FEATURES, count))
        signal = values[0] - 0.5 * values[1] * values[2] + 0.3 * np.sin(3 * values[3])
        label = (signal + random.normal(size=count) > 0).astype(np.int64)
        row_id = np.arange(start, start + count, dtype=np.int64)
        table = pa.table([pa.array(column) for column in (row_id, *values, label)], names=names)
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table)
    assert writer is not None, "no rows"
    writer.close()
    os.sync()
