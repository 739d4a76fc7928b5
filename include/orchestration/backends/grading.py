"""When the grading of a champion takes no job."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.retraining.config.step_names import JobStep
    from include.retraining.scoring.any_run import AnyPlan
    from include.retraining.store.object_store import Store


def has_nothing_to_grade(step: JobStep, store: Store, plan: AnyPlan) -> bool:
    """Return whether a step is the grading of a run that needs none: no job is worth starting."""
    from include.retraining.monitoring.grade import is_graded
    from include.retraining.runs.manifest import RunManifest

    return step == "grade" and isinstance(plan, RunManifest) and is_graded(store, plan)
