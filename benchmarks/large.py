"""Millions of rows: the jobs' time and peak memory against a bare script's.

The jobs are forked from a warm parent, as a worker forks them; what they take from scratch stands
beside it.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from benchmarks.measuring import Row, Used, python
from tests.support.repository_copy import copy_repository

HERE = Path(__file__).parent
MODEL = "bench_rows"
FEATURES = 18
CHUNK = 1_000_000
STEPS = ("validate", "train", "evaluate")


@dataclass(frozen=True)
class Size:
    """A delivery to measure, with the greatest acceptable ratios; None where none is held."""

    rows: int
    ending: str = "parquet"
    time: float | None = None
    memory: float | None = None
    is_from_scratch_too: bool = False


WARM_UP = Size(20_000)
"""By its end, the warm parent has imported what jobs need."""
SIZES = (
    Size(1_000_000, time=1.4, is_from_scratch_too=True),
    Size(1_000_000, ending="csv", time=1.5),
    Size(10_000_000, time=1.10, memory=0.6),
)

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


# Runs one job in the copy of the repository, as the worker does, and prints what it used.
JOB = """
import json, os, sys, time
from pathlib import Path
from include.orchestration.backends.local.warm_start import start_warm

started = time.perf_counter()
job = start_warm([sys.executable, *sys.argv[1:]], folder=Path.cwd(), environment=dict(os.environ))
output = job.stdout.read().decode()
code = job.wait()
assert code == 0, output
print(json.dumps({"seconds": time.perf_counter() - started, "peak": job.peak_memory_bytes()}))
"""


def measure(folder: Path) -> list[Row]:
    """Measure in an empty folder."""
    root = copy_repository(folder / "repository")
    code, yaml = (root / "include" / "models" / f"{MODEL}.{ending}" for ending in ("py", "yaml"))
    shutil.copy(HERE / "rows.py", code)
    rows: list[Row] = []
    for number, size in enumerate((WARM_UP, *SIZES)):
        text = (HERE / "rows.yaml").read_text(encoding="utf-8")
        yaml.write_text(text.replace("*.parquet", f"*.{size.ending}"), encoding="utf-8")
        place = folder / f"{number}"
        found = _measure_size(root, place, size)
        rows += found if size is not WARM_UP else []
        shutil.rmtree(place)
    return rows


def _measure_size(root: Path, place: Path, size: Size) -> list[Row]:
    store = place / "store"
    landing = store / "landing" / MODEL
    landing.mkdir(parents=True)
    data = landing / f"rows.{size.ending}"
    generate(data, size.rows)
    (landing / "ready.flag").write_text(datetime.now(UTC).isoformat())
    environment = {"RETRAINING_STORE": store.as_uri(), "PYTHONPATH": ""}
    python("-m", "include.retraining", "init", folder=root, environment=environment)
    plan = python("-c", PLAN, store.as_uri(), folder=root, environment=environment)
    run = plan.output.splitlines()[-1]
    bare = python(str(HERE / "bare_rows.py"), str(data), folder=root)
    part = f"{size.rows // 1_000_000} M rows" + (", CSV" if size.ending == "csv" else "")
    rows = _compared(part, _jobs(root, run, environment, is_warm=True), bare, size)
    if size.is_from_scratch_too:
        shutil.rmtree(store / "models" / MODEL / "versions")
        for result in STEPS:
            (Path(run.removeprefix("file://")) / f"{result}.json").unlink()
        jobs = _jobs(root, run, environment, is_warm=False)
        rows += _compared(f"{part}, from scratch", jobs, bare, Size(size.rows))
    return [
        *rows,
        Row(part, "pinning the delivery (plan_run, hashes every byte)", f"{plan.seconds:.1f} s"),
    ]


def _compared(part: str, jobs: dict[str, Used], bare: Used, size: Size) -> list[Row]:
    seconds = sum(job.seconds for job in jobs.values())
    peak = max(job.peak_bytes for job in jobs.values())
    each = ", ".join(f"{step} {job.seconds:.1f}" for step, job in jobs.items())
    memory = ", ".join(f"{step} {_gigabytes(job.peak_bytes)}" for step, job in jobs.items())
    return [
        Row(
            part,
            f"jobs : bare script, time ({each})",
            f"{seconds:.1f} s",
            f"{bare.seconds:.1f} s",
            seconds / bare.seconds,
            size.time,
        ),
        Row(
            part,
            f"jobs : bare script, peak memory ({memory})",
            f"{_gigabytes(peak)} GB",
            f"{_gigabytes(bare.peak_bytes)} GB",
            peak / bare.peak_bytes,
            size.memory,
        ),
    ]


def _jobs(root: Path, run: str, environment: dict[str, str], *, is_warm: bool) -> dict[str, Used]:
    """Run the steps and return what each used."""
    jobs = {}
    for step in STEPS:
        words = ("-m", "include.retraining", step, "--run", run, "--attempt", f"bench-{is_warm}")
        if is_warm:
            used = python("-c", JOB, *words, folder=root, environment=environment)
            found = json.loads(used.output.splitlines()[-1])
            jobs[step] = Used(found["seconds"], found["peak"], used.output)
        else:
            jobs[step] = python(*words, folder=root, environment=environment)
    return jobs


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f}"


def generate(file: Path, size: int) -> None:
    """Write rows whose label depends on some of the columns; the same rows every time."""
    kind = {".parquet": pq.ParquetWriter, ".csv": pacsv.CSVWriter}[file.suffix]
    random = np.random.default_rng(1)
    names = ["row_id", *(f"x{number:02d}" for number in range(FEATURES)), "label"]
    writer: pq.ParquetWriter | pacsv.CSVWriter | None = None
    for start in range(0, size, CHUNK):
        count = min(CHUNK, size - start)
        values = random.normal(size=(FEATURES, count))
        signal = values[0] - 0.5 * values[1] * values[2] + 0.3 * np.sin(3 * values[3])
        label = (signal + random.normal(size=count) > 0).astype(np.int64)
        row_id = np.arange(start, start + count, dtype=np.int64)
        table = pa.table([pa.array(column) for column in (row_id, *values, label)], names=names)
        writer = writer or kind(file, table.schema)
        writer.write_table(table)
    assert writer is not None, "no rows"
    writer.close()
    os.sync()
