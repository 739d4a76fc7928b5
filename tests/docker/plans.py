"""A run of the diabetes model whose heavy steps are jobs in the training image."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import yaml

from include.local_airflow.demo import samples
from include.retraining.config.model import MODELS_FOLDER, ModelConfig, parse_model
from include.retraining.runs.manifest import Params, RunManifest, TriggeredBy
from include.retraining.runs.reference import RunRef
from include.retraining.steps.plan import plan_run
from include.retraining.store.object_store import Store
from tests.support.aws_in_containers import QUEUE

MODEL = "diabetes_progression"
RUN = RunRef(
    model=MODEL,
    dag_id=f"retrain_{MODEL}",
    run_id="manual__1",
    run_after=datetime(2026, 11, 24, 6, tzinfo=UTC),
    clear=0,
    cause=TriggeredBy(run_type="manual"),
)


def batch_compute(image: str, job_definition: str) -> dict[str, Any]:
    """Return the YAML values of a step that is a job on Batch."""
    return {
        "backend": "batch",
        "image": image,
        "allow_tag": True,  # an image that was never pushed has no digest to name it by
        "python": "3.12",
        "queue": QUEUE,
        "job_definition": job_definition,
        "cpu": 1,
        "memory": "1GiB",
        "timeout_seconds": 300,
        "poll_seconds": 0.5,
    }


def config_of(image: str) -> ModelConfig:
    """Return the model's configuration with the heavy steps in an image."""
    values = yaml.safe_load((MODELS_FOLDER / f"{MODEL}.yaml").read_text(encoding="utf-8"))
    compute = batch_compute(image, "retraining:1")
    values["compute"] = dict.fromkeys(("validate_data", "train_model", "evaluate_model"), compute)
    return parse_model(yaml.safe_dump(values), where=f"{MODEL}.yaml")


def plan(store: Store, image: str) -> RunManifest:
    """Land the data that ships with the model and plan a run on it."""
    samples.land(store, MODEL)
    return plan_run(
        store,
        config_of(image),
        dag_id=RUN.dag_id,
        run_id=RUN.run_id,
        run_after=RUN.run_after,
        params=Params(date=date(2026, 11, 24)),
        cause=RUN.cause,
    )


def run_uri(store: Store) -> str:
    """Return the address that the run's jobs are started with."""
    return RUN.paths.uri(store.uri)
