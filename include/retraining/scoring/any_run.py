"""What holds for a run of either kind, a retraining or a scoring: its plan and its results.

For what starts jobs and waits for them, which is the same for both.
"""

from __future__ import annotations

from include.retraining.config.step_names import STEPS, WITHOUT_RESULT, JobStep
from include.retraining.exceptions import EvidenceError
from include.retraining.runs.manifest import RunManifest, read_manifest
from include.retraining.runs.results import StepResult, find_result
from include.retraining.scoring.plan import ScorePlan, read_plan
from include.retraining.scoring.result import find_score_result
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store

AnyPlan = RunManifest | ScorePlan


def read_any_plan(store: Store, paths: RunPaths) -> AnyPlan:
    """Return the plan that lies in a run's folder.

    Raises:
        NotFound: when the run was never planned.
        EvidenceError: when it is unreadable or of another run.
    """
    return read_plan(store, paths) if paths.kind == "scoring" else read_manifest(store, paths)


def find_any_result(
    store: Store, paths: RunPaths, plan: AnyPlan, step: JobStep
) -> StepResult | None:
    """Return a step's verified result; None when it left none, as card and grade never do.

    Raises:
        EvidenceError: when it is unreadable, of another run or other data, or when an object that
            it names is missing or altered.
    """
    if isinstance(plan, ScorePlan):
        return find_score_result(store, paths, plan)
    return find_result(store, paths, plan, step) if step in STEPS else None


def require_any_result(store: Store, paths: RunPaths, plan: AnyPlan, step: JobStep) -> None:
    """Refuse a step without a verified result, unless it is one that leaves none.

    Raises:
        EvidenceError: as `find_any_result`, and when there is none.
    """
    if step not in WITHOUT_RESULT and find_any_result(store, paths, plan, step) is None:
        raise EvidenceError(
            f"{store.uri}/{paths.result(step)}: the step {step!r} left no result: it did not "
            "finish, even if its task is green; clear it"
        )
