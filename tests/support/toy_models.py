"""Small models that tests train: real files, a real store, real plans."""

from __future__ import annotations

import textwrap
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from include.retraining.config.model import ModelConfig, parse_model
from include.retraining.gate.report import EvaluationReport
from include.retraining.gate.rules import judge
from include.retraining.gate.verdict import Answer
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion import Registry
from include.retraining.runs.job import Job
from include.retraining.runs.manifest import Params, TriggeredBy
from include.retraining.runs.results import EvaluateResult, TrainResult, write_result
from include.retraining.steps.evaluate import evaluate
from include.retraining.steps.plan import plan_run
from include.retraining.steps.train import train
from include.retraining.steps.validate import validate
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store

LABELS = {"binary": "int", "multiclass": "str", "regression": "float"}
ESTIMATORS = {
    "binary": "LogisticRegression()",
    "multiclass": "LogisticRegression()",
    "regression": "LinearRegression()",
}


def model_file(problem: str, estimator: str | None = None, *, more: str = "") -> str:
    """The Python file of a model with two features, `a` and `b`."""
    return textwrap.dedent(f"""\
        import pandera.pandas as pa
        import numpy as np
        from sklearn.base import BaseEstimator, ClassifierMixin
        from sklearn.dummy import DummyClassifier
        from sklearn.linear_model import SGDClassifier
        from sklearn.linear_model import LinearRegression, LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer

        FEATURES = ("a", "b")

        class Contract(pa.DataFrameModel):
            id: int = pa.Field(unique=True)
            y: {LABELS[problem]}
            a: float
            b: float

            class Config:
                strict = False

        # its own code

        def build_estimator(seed):
            return {estimator or ESTIMATORS[problem]}
        """).replace("# its own code\n", textwrap.dedent(more))


def make_frame(
    problem: str, rows: int = 400, *, seed: int = 0, signal: float = 2.0
) -> pd.DataFrame:
    """Rows whose label follows `a`, with a group, a slice and a day."""
    random = np.random.default_rng(seed)
    a, b = random.normal(size=rows), random.normal(size=rows)
    noisy = signal * a + random.normal(size=rows)
    labels: Any = noisy * 10 + 50
    if problem == "binary":
        labels = (noisy > 0).astype(int)
    elif problem == "multiclass":
        labels = np.array(["low", "mid", "high"], dtype=object)[np.digitize(noisy, [-1, 1])]
    days = np.datetime64("2026-01-01") + np.arange(rows) // 4
    return pd.DataFrame({
        "id": np.arange(1000, 1000 + rows),
        "y": labels,
        "a": a,
        "b": b,
        "unused": "never read",
        "region": np.array(["north", "south"], dtype=object)[(b > 0).astype(int)],
        "sex": random.integers(0, 2, rows),
        "day": days.astype(str),
    })


@dataclass
class Toy:
    """One model with its files and its store."""

    store: Store
    models: Path
    name: str
    problem: str = "binary"
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the YAML says otherwise, by section."""
    runs: int = 0

    @property
    def config(self) -> ModelConfig:
        """The model's configuration."""
        regression = self.problem == "regression"
        values: dict[str, Any] = {
            "name": self.name,
            "title": "A toy",
            "description": "Nothing anybody uses.",
            "owner": "tests",
            "problem": self.problem,
            "trigger": {"schedule": None, "flag": "landing/toy/ready.flag"},
            "data": {
                "location": "landing/toy",
                "key": "id",
                "label": "y",
                "split": {"by": "key", "holdout_fraction": 0.3, "salt": "toy"},
                "volume": None,
                **({"positive": 1} if self.problem == "binary" else {}),
            },
            "training": {"seed": 7},
            "gates": {"metric": "r2" if regression else "accuracy", "min_holdout_rows": 20},
            "compute": {},
        }
        for section, changed in self.changes.items():
            values[section] = {**values.get(section, {}), **changed}
        return parse_model(yaml.safe_dump(values), where="toy.yaml")

    def write_model(self, text: str | None = None) -> None:
        """Write the model's Python file; the next import sees it."""
        import importlib
        import sys

        (self.models / f"{self.name}.py").write_text(text or model_file(self.problem))
        sys.modules.pop(f"include.models.{self.name}", None)
        importlib.invalidate_caches()

    def deliver(self, frame: pd.DataFrame, *, as_csv: bool = False) -> None:
        """Land a delivery and then its flag, in place of the one before."""
        for info in self.store.objects("landing/toy"):
            self.store.delete(info.key)
        if as_csv:
            self.store.write("landing/toy/data.csv", frame.to_csv(index=False).encode())
        else:
            self.store.write("landing/toy/data.parquet", frame.to_parquet(index=False))
        self.store.write("landing/toy/ready.flag", b"")

    def plan(self, *, force: bool = False, run_date: date = date(2026, 11, 24)) -> Job:
        """Plan a run, and validate its delivery."""
        self.runs += 1
        run_after = datetime(2026, 11, 24, 6, self.runs, tzinfo=UTC)
        manifest = plan_run(
            self.store,
            self.config,
            dag_id=f"retrain_{self.name}",
            run_id=f"manual__{self.runs}",
            run_after=run_after,
            params=Params(date=run_date, force_retrain=force),
            cause=TriggeredBy(run_type="manual"),
        )
        paths = RunPaths(self.name, manifest.run)
        config = ModelConfig.model_validate(manifest.config)
        job = Job(self.store, paths, manifest, config, f"try-{self.runs}", time.time())
        write_result(job.store, job.paths, job.manifest, validate(job))
        return job

    def train(self, job: Job) -> TrainResult:
        """Run the step `train` and leave its evidence."""
        return write_result(job.store, job.paths, job.manifest, train(job))

    def evaluate(self, job: Job) -> EvaluateResult:
        """Run the step `evaluate` and leave its evidence."""
        return write_result(job.store, job.paths, job.manifest, evaluate(job))

    def report(self, job: Job) -> EvaluationReport:
        """The run's stored evaluation report."""
        key = job.paths.evaluation
        return EvaluationReport.from_bytes(self.store.read(key), where=key)

    def run(self, **how: Any) -> tuple[Job, EvaluationReport]:
        """Plan, validate, train and evaluate."""
        job = self.plan(**how)
        self.train(job)
        self.evaluate(job)
        return job, self.report(job)

    def promote(self, job: Job, report: EvaluationReport) -> PromotionEntry:
        """Let a run's version serve, whatever the gate would say."""
        verdict = judge(report, self.config.gates, report_digest=report.content_digest)
        return Registry(self.store, self.name).promote(
            manifest=job.manifest,
            verdict=verdict.model_copy(update={"answer": Answer.PASS}),
            report=report,
            actor="tests",
            reason="planted",
        )
