"""What `validate` costs by the shape of a delivery: many rows, many columns, far too many.

CPU time of the whole job, because it waits for nothing and other programs of the machine then do
not count.
"""

from __future__ import annotations

import resource
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.measuring import Row, python
from tests.support.repository_copy import copy_repository

CELLS = 200_000
SHAPES = (20, 200, 2_000)
LIMIT = 2.0
"""The greatest acceptable ratio of the widest shape to the first."""
FAR_TOO_MANY = 1_000_000

YAML = """\
name: {name}
title: Benchmark of a shape
description: Generated numbers that are validated only; for `make bench` only.
owner: benchmarks
tier: 3
problem: binary
trigger: {{schedule: null, flag: landing/{name}/ready.flag}}
data:
  location: landing/{name}
  key: row_id
  label: label
  positive: 1
  split: {{by: key, holdout_fraction: 0.2, salt: {name}}}
  min_rows: 10
  volume: null
training: {{seed: 1}}
gates: {{metric: roc_auc, minimum: {{roc_auc: 0.6}}}}
"""
CODE = '''\
"""Numbers that are validated only."""

import pandera.pandas as pa
from sklearn.linear_model import LogisticRegression

FEATURES = tuple(f"x{{number}}" for number in range({columns}))


class _Promises(pa.DataFrameModel):
    row_id: int = pa.Field(ge=0, unique=True)
    label: int = pa.Field(isin=[0, 1])


Contract = type(
    "Contract",
    (_Promises,),
    {{
        "__annotations__": dict.fromkeys(FEATURES, float),
        "__module__": __name__,
        **{{name: pa.Field(ge=-100, le=100) for name in FEATURES}},
    }},
)


def build_estimator(seed):
    """Return an unfitted estimator."""
    return LogisticRegression(random_state=seed)
'''
PLAN = """
import sys
from datetime import datetime, timezone
from include.retraining.steps import plan as planning
from include.retraining.store.marker import open_store
from include.retraining.config.model import load_model
from include.retraining.store.layout import RunPaths
from include.retraining.runs.manifest import TriggeredBy, Params

now = datetime.now(timezone.utc)
plan = planning.plan_run(
    open_store(sys.argv[1]), load_model(sys.argv[2]), dag_id="bench", run_id="bench",
    run_after=now, params=Params(date=now.date()), cause=TriggeredBy(run_type="manual"),
)
print(RunPaths(plan.model, plan.run).uri(sys.argv[1]))
"""


def measure(folder: Path) -> list[Row]:
    """Measure in an empty folder."""
    root = copy_repository(folder / "repository")
    store = folder / "store"
    store.mkdir()
    environment = {"RETRAINING_STORE": store.as_uri(), "PYTHONPATH": ""}
    python("-m", "include.retraining", "init", folder=root, environment=environment)
    seconds = {
        columns: _validate(root, store, environment, columns, CELLS // columns)
        for columns in SHAPES
    }
    refused = _validate(root, store, environment, FAR_TOO_MANY, 0)
    first, *others = SHAPES
    rows = [
        Row(
            "validate",
            f"{columns:,} columns of {CELLS // columns:,} rows : {first} of {CELLS // first:,}",
            f"{seconds[columns]:.1f} s",
            f"{seconds[first]:.1f} s",
            seconds[columns] / seconds[first],
            LIMIT,
        )
        for columns in others
    ]
    return [
        *rows,
        Row(
            "validate",
            f"refusing a header of {FAR_TOO_MANY:,} names : {first} columns",
            f"{refused:.1f} s",
            f"{seconds[first]:.1f} s",
            refused / seconds[first],
            LIMIT,
        ),
    ]


def _validate(
    root: Path, store: Path, environment: dict[str, str], columns: int, rows: int
) -> float:
    """Return the least CPU seconds of three jobs that validate so many columns and rows."""
    name = f"bench_{columns}"
    promised = min(columns, max(SHAPES))
    for ending, text in (("yaml", YAML), ("py", CODE)):
        file = root / "include" / "models" / f"{name}.{ending}"
        file.write_text(text.format(name=name, columns=promised))
    landing = store / "landing" / name
    landing.mkdir(parents=True)
    _generate(landing / "rows.csv", columns, rows)
    (landing / "ready.flag").write_text(datetime.now(UTC).isoformat())
    plan = python("-c", PLAN, store.as_uri(), name, folder=root, environment=environment)
    run = plan.output.splitlines()[-1]
    return min(_job(root, environment, run, attempt, is_refused=rows == 0) for attempt in range(3))


def _job(
    root: Path, environment: dict[str, str], run: str, attempt: int, *, is_refused: bool
) -> float:
    """Return the CPU seconds of one job that accepts or refuses what it reads."""
    for result in Path(run.removeprefix("file://")).glob("validate.json"):
        result.unlink()  # or the job would find that all is done
    arguments = ("validate", "--run", run, "--attempt", f"bench-{attempt}")
    before = _cpu_seconds()
    try:
        python("-m", "include.retraining", *arguments, folder=root, environment=environment)
    except RuntimeError as error:
        if not is_refused or "data_rejected" not in str(error):
            raise
    else:
        assert not is_refused, "a header of a million names was accepted"
    return _cpu_seconds() - before


def _cpu_seconds() -> float:
    """Return what the ended children of this process used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _generate(file: Path, columns: int, rows: int) -> None:
    """Write rows whose label is a coin's; the same rows every time."""
    random = np.random.default_rng(1)
    names = ["row_id", "label", *(f"x{number}" for number in range(columns))]
    values = random.normal(size=(rows, columns)).round(4)
    with file.open("w", encoding="utf-8") as text:
        text.write(",".join(names) + "\n")
        for number, (label, line) in enumerate(
            zip(random.integers(0, 2, rows), values, strict=True)
        ):
            text.write(f"{number},{label},{','.join(map(str, line))}\n")
