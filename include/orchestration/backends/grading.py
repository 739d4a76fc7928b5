"""When the grading of a champion, and the comparison of a delivery, take no job."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.retraining.config.step_names import JobStep
    from include.retraining.scoring.any_run import AnyPlan
    from include.retraining.store.object_store import Store


def has_nothing_to_grade(step: JobStep, store: Store, plan: AnyPlan) -> bool:
    """Return whether a step is the grading of a run that needs none: no job is worth starting.

    A first run has no champion to grade, and a profile of its training rows to make all the same.
    """
    from include.retraining.monitoring.drift import is_observed
    from include.retraining.monitoring.grade import is_graded
    from include.retraining.runs.manifest import RunManifest

    if step != "grade" or not isinstance(plan, RunManifest):
        return False
    return is_graded(store, plan) and is_observed(store, plan)
