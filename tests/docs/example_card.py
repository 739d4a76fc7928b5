"""docs/example/card.md: the model card of the shipped sample, as its first run writes it.

`python -m tests.docs.example_card` makes the card and its pictures anew: the pipeline's steps in
this process, on the loan applications, with a store in a temporary folder.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from include.local_airflow.demo.samples import land
from include.retraining.config.model import load_model
from include.retraining.gate.report import EvaluationReport
from include.retraining.gate.rules import judge
from include.retraining.model_card.render import write_card
from include.retraining.runs.job import Job
from include.retraining.runs.manifest import Params, TriggeredBy
from include.retraining.runs.results import write_result
from include.retraining.steps.evaluate import evaluate
from include.retraining.steps.plan import plan_run
from include.retraining.steps.train import train
from include.retraining.steps.validate import validate
from include.retraining.store.layout import RunPaths
from include.retraining.store.marker import initialise
from tests.docs.markdown_files import ROOT

FOLDER = ROOT / "docs" / "example"
MODEL = "loan_approval"
DAY = date(2026, 11, 24)


def make_card() -> dict[str, bytes]:
    """Return the card and its pictures by their names."""
    with tempfile.TemporaryDirectory(prefix="example-card-") as folder:
        store = initialise(f"file://{folder}/store")
        land(store, MODEL)
        config = load_model(MODEL)
        manifest = plan_run(
            store,
            config,
            dag_id=config.dag_id,
            run_id="scheduled__2026-11-24T11:00:00+00:00",
            run_after=datetime(DAY.year, DAY.month, DAY.day, 11, tzinfo=UTC),
            params=Params(date=DAY),
            cause=TriggeredBy(run_type="scheduled"),
        )
        paths = RunPaths(MODEL, manifest.run)
        job = Job(store, paths, manifest, config, "try-1", time.time())
        for step in (validate, train, evaluate):
            write_result(job.store, job.paths, job.manifest, step(job))
        report = EvaluationReport.from_bytes(store.read(paths.evaluation), where=paths.evaluation)
        verdict = judge(report, config.gates, report_digest=report.content_digest)
        write_card(store, paths, manifest, verdict)
        made = {Path(info.key).name: store.read(info.key) for info in store.objects(paths.card)}
    # Where the store lay for a moment is nobody's business.
    made["card.md"] = made["card.md"].replace(f"file://{folder}/".encode(), "file:///…/".encode())
    return made


def words(card: str) -> str:
    """Return a card without what differs from machine to machine: digests and numbers."""
    text = re.sub(r"\b[0-9a-f]{8,}\b", "#", card)
    return re.sub(r"[+-]?[0-9][0-9.,]*", "#", text)


def write(made: Mapping[str, bytes]) -> None:
    """Put a card and its pictures in place of those that are there."""
    for old in FOLDER.glob("*.png"):
        old.unlink()
    for name, content in made.items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    write(make_card())
