"""What the task `evaluate_model` returns, whichever backend ran the step."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context

from include.orchestration.runtime.run_task import run_task


def evaluated(context: Context) -> dict[str, Any]:
    """Return which report a run's evaluation left, and the challenger's metrics.

    The store is the source: who ran the job, or whether it was adopted, makes no difference.

    Returns:
        `report`: the report's address; `sha256`: its digest, which the quality gate compares;
        `version`: the challenger; `metrics`: its scores, for whoever looks. A metric that could not
        be computed is None.

    Raises:
        AirflowFailException: when the evaluation left no verified report.
    """
    from include.retraining.gate.report import EvaluationReport
    from include.retraining.runs.manifest import current_plan, read_manifest
    from include.retraining.runs.results import read_result

    with run_task(context) as (store, run):
        paths = current_plan(store, run.paths)
        result = read_result(store, paths, read_manifest(store, paths), "evaluate")
        key = result.report.key
        report = EvaluationReport.from_bytes(store.read(key), where=key)
    return {
        "report": f"{store.uri}/{key}",
        "sha256": result.report.sha256,
        "version": result.version,
        "metrics": report.challenger.metrics,
    }
