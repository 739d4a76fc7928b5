"""The shipped samples, trained and promoted as their first run would: the steps in this process."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import NamedTuple

from include.local_airflow.demo.samples import land
from include.retraining.config.model import ModelConfig, load_model
from include.retraining.gate.report import EvaluationReport
from include.retraining.gate.rules import judge
from include.retraining.gate.verdict import Verdict
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion import Registry
from include.retraining.runs.job import Job
from include.retraining.runs.manifest import Params, RunManifest, TriggeredBy
from include.retraining.runs.results import write_result
from include.retraining.steps.evaluate import evaluate
from include.retraining.steps.plan import plan_run
from include.retraining.steps.train import train
from include.retraining.steps.validate import validate
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store

DAY = date(2026, 11, 24)


class JudgedSample(NamedTuple):
    """A run of a sample, up to its verdict."""

    config: ModelConfig
    paths: RunPaths
    manifest: RunManifest
    report: EvaluationReport
    verdict: Verdict


def judge_sample(store: Store, model: str) -> JudgedSample:
    """Land a sample, train and evaluate it, and judge it."""
    land(store, model)
    config = load_model(model)
    manifest = plan_run(
        store,
        config,
        dag_id=config.dag_id,
        run_id=f"scheduled__{DAY}T11:00:00+00:00",
        run_after=datetime(DAY.year, DAY.month, DAY.day, 11, tzinfo=UTC),
        params=Params(date=DAY),
        cause=TriggeredBy(run_type="scheduled"),
    )
    paths = RunPaths(model, manifest.run)
    # Begun a minute ago: a tenth of that is time for importances on any machine.
    job = Job(store, paths, manifest, config, "try-1", time.time() - 60)
    for step in (validate, train, evaluate):
        write_result(job.store, job.paths, job.manifest, step(job))
    report = EvaluationReport.from_bytes(store.read(paths.evaluation), where=paths.evaluation)
    verdict = judge(report, config.gates, report_digest=report.content_digest)
    return JudgedSample(config, paths, manifest, report, verdict)


def promote_sample(store: Store, model: str) -> PromotionEntry:
    """Land a sample, train and evaluate it, and promote what passes its gate."""
    sample = judge_sample(store, model)
    return Registry(store, model).promote(
        manifest=sample.manifest,
        verdict=sample.verdict,
        report=sample.report,
        actor=sample.config.dag_id,
        reason="it passed",
    )
