"""Promotions as a run's deploy task makes them, from planted runs."""

from __future__ import annotations

from typing import Any

from include.retraining.decisions.record import Outcome
from include.retraining.gate.report import EvaluationReport
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion import Registry
from include.retraining.runs.manifest import read_manifest
from include.retraining.runs.reference import RunRef
from include.retraining.steps.close_run import close_run
from include.retraining.steps.decide import check_quality
from include.retraining.store.object_store import Store
from tests.support.run_factory import MODEL, plant_run


def promote(store: Store, run: RunRef, **changes: Any) -> PromotionEntry:
    """Promote a planted run as its deploy task would."""
    report = EvaluationReport.from_bytes(store.read(run.paths.evaluation), where="evaluation")
    if "verdict" not in changes:
        changes["verdict"] = check_quality(store, run)
    arguments: dict[str, Any] = {
        "manifest": read_manifest(store, run.paths),
        "report": report,
        "actor": "retrain_toy_model",
        "reason": "it is better",
    }
    return Registry(store, MODEL).promote(**{**arguments, **changes})


def promote_days(store: Store, *days: int) -> list[PromotionEntry]:
    """Promote the runs of several days, one after the other, and close them."""
    entries = []
    for day in days:
        run = plant_run(store, day)
        entries.append(promote(store, run))
        close_run(store, run, Outcome.PROMOTED, "promoted")
    return entries
