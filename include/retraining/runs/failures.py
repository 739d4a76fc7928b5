"""Why a run failed: the first cause among its attempts' failures, not the last symptom.

A step that ran out of memory may be tried again and then be killed, find no machine or time out;
later steps find no result. The first of these is what has to be fixed.
"""

from __future__ import annotations

import re

from include.retraining.config.step_names import STEPS, JobStep
from include.retraining.exceptions import EvidenceError, TrainingElsewhere
from include.retraining.runs.claims import read_claims
from include.retraining.runs.results import StepFailure
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store

# Kinds that tell that something ended, not why.
VAGUE = frozenset({"error", "job_killed", "killed"})
_ATTEMPT = re.compile(r"(?P<clear>[0-9]+)-(?P<number>[0-9]+)|job-(?P<job>[0-9]+)")


def first_cause(store: Store, paths: RunPaths, *, clear: int) -> StepFailure | None:
    """Return the failure that explains a run, or None when no step left one.

    For the first step without a result: the earliest permanent failure, else the earliest that
    names a cause, else the earliest.

    Args:
        store: with the run.
        paths: of the run's newest plan.
        clear: which clear of the run; earlier failures are fixed or will recur.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    steps: tuple[JobStep, ...] = ("score",) if paths.kind == "scoring" else STEPS
    for step in steps:
        if store.exists(paths.result(step)):
            continue
        failures = _failures(store, paths, step, clear)
        if failures:
            explaining = [failure for failure in failures if failure.kind not in VAGUE]
            permanent = [failure for failure in explaining if failure.is_permanent]
            return (permanent or explaining or failures)[0]
    return None


def _failures(store: Store, paths: RunPaths, step: JobStep, clear: int) -> list[StepFailure]:
    """Return the failures of a step's attempts in one clear of the run, oldest first."""
    by_attempt: dict[str, tuple[float, int, StepFailure]] = {}
    for info in store.children(paths.folder)[1]:
        if not re.match(rf".*/{step}\.failed[.-]", info.key):
            continue
        data = store.read_if_present(info.key)
        try:
            if data is None:
                continue
            failure = StepFailure.from_bytes(data, where=info.key)
        except EvidenceError:
            continue  # it explains nothing
        if failure.kind == TrainingElsewhere.kind:
            continue  # it waited
        attempt = _ATTEMPT.fullmatch(failure.attempt)
        if attempt is None or _clear_of(store, paths, attempt) != clear:
            continue
        number = int(attempt["number"] or attempt["job"])
        before = by_attempt.get(failure.attempt)
        at = info.last_modified.timestamp()
        if before is None or at < before[0]:
            by_attempt[failure.attempt] = (at, number, failure)
    return [failure for _, _, failure in sorted(by_attempt.values(), key=lambda item: item[:2])]


def _clear_of(store: Store, paths: RunPaths, attempt: re.Match[str]) -> int | None:
    """Return which clear of the run an attempt belongs to."""
    if attempt["clear"] is not None:
        return int(attempt["clear"])
    claims = read_claims(store, paths)
    return next((one.clear for one in claims if one.number == int(attempt["job"])), None)
