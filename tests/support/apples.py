"""A small model that exists for the tests only: does an apple sell?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import yaml

from include.retraining.config.model import ModelConfig, parse_model
from include.retraining.runs.manifest import Params, RunManifest, TriggeredBy
from include.retraining.steps.plan import plan_run
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store

NAME = "apples"
DAY = date(2026, 11, 24)
FOLDER = "landing/apples"
FLAG = f"{FOLDER}/ready.flag"

YAML = f"""
name: {NAME}
title: Apples
description: Whether an apple sells.
owner: orchard
problem: binary
trigger: {{schedule: null, flag: {FLAG}}}
data:
  location: {FOLDER}
  key: apple_id
  label: sold
  positive: 1
  protected: [{{name: origin, column: origin}}]
  never_features: [refund]
  split: {{by: key, holdout_fraction: 0.25, salt: apples-1}}
  min_rows: 50
  label_rate: {{min: 0.2, max: 0.9}}
training: {{seed: 7}}
gates: {{metric: accuracy, min_holdout_rows: 10}}
"""

CODE = '''
"""Apples."""
import pandera.pandas as pa
from sklearn.linear_model import LogisticRegression

FEATURES = ("weight", "colour")


class Contract(pa.DataFrameModel):
    """What the orchard promises."""

    apple_id: int = pa.Field(ge=0)
    sold: int = pa.Field(isin=[0, 1])
    weight: float = pa.Field(gt=0, le=500)
    colour: int = pa.Field(ge=1, le=9)
    origin: str
    note: str = pa.Field(nullable=True)

    class Config:
        """No other columns."""

        strict = True


def build_estimator(seed):
    """Return an unfitted estimator."""
    return LogisticRegression(random_state=seed)
'''


def config(changes: Mapping[str, Any] | None = None) -> ModelConfig:
    """Return the model's configuration, with some dotted fields changed."""
    values = yaml.safe_load(YAML)
    for path, value in (changes or {}).items():
        *sections, field = path.split(".")
        section = values
        for name in sections:
            section = section.setdefault(name, {})
        section[field] = value
    return parse_model(yaml.safe_dump(values), where="apples.yaml")


def harvest(rows: int = 200, *, seed: int = 1, first_id: int = 0) -> pd.DataFrame:
    """Return apples that keep their contract."""
    random = np.random.default_rng(seed)
    weight = random.uniform(50, 400, rows).round(1)
    return pd.DataFrame({
        "apple_id": np.arange(first_id, first_id + rows),
        "sold": ((weight + random.normal(0, 60, rows)) > 200).astype(int),
        "weight": weight,
        "colour": random.integers(1, 10, rows),
        "origin": random.choice(["north", "south"], rows),
        "note": [None if number % 3 else "ripe" for number in range(rows)],
    })


def deliver(store: Store, frame: pd.DataFrame | None = None, *, name: str = "data.csv") -> None:
    """Write a delivery and, last, its flag."""
    frame = harvest() if frame is None else frame
    data = frame.to_csv(index=False).encode() if name.endswith(".csv") else frame.to_parquet()
    store.write(f"{FOLDER}/{name}", data)
    store.write(FLAG, b"")


def plan(store: Store, run_id: str = "manual__1", **changes: Any) -> RunManifest:
    """Plan a run; changes are dotted configuration fields, or `params`."""
    params = changes.pop("params", Params(date=DAY))
    return plan_run(
        store,
        config(changes),
        dag_id="retrain_apples",
        run_id=run_id,
        run_after=datetime(2026, 11, 24, 6, tzinfo=UTC),
        params=params,
        cause=TriggeredBy(run_type="manual"),
        git_sha="abc123",
    )


def paths_of(manifest: RunManifest) -> RunPaths:
    """Return the keys of a plan."""
    return RunPaths(manifest.model, manifest.run)
