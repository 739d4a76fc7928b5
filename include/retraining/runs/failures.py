"""Why a run broke: the first cause among all that its attempts said, not the last symptom.

A step that ran out of memory may be tried again and then be killed, find no machine or time out;
what follows it finds no result. The first of these is what someone has to mend.
"""

from __future__ import annotations

import re

from include.retraining.config.step_names import STEPS, Step
from include.retraining.exceptions import EvidenceError, TrainingElsewhere
from include.retraining.runs.claims import JobClaims
from include.retraining.runs.manifest import find_manifest
from include.retraining.runs.results import StepFailure
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store

# What says that something ended, and not why.
VAGUE = frozenset({"error", "job_killed", "killed"})
_ATTEMPT = re.compile(r"(?P<clear>[0-9]+)-(?P<number>[0-9]+)|job-(?P<job>[0-9]+)")


def first_cause(store: Store, paths: RunPaths, *, clear: int) -> StepFailure | None:
    """Return the failure that explains a run, or None when no step left one.

    Of the first step that has no result: the earliest failure that would come again, else the
    earliest that says why, else the earliest.

    Args:
        store: with the run.
        paths: of the run's newest plan.
        clear: which clear of the run; what failed before it was cleared is mended or comes again.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    for step in STEPS:
        if store.exists(paths.result(step)):
            continue
        failures = _failures(store, paths, step, clear)
        if failures:
            telling = [failure for failure in failures if failure.kind not in VAGUE]
            lasting = [failure for failure in telling if failure.is_permanent]
            return (lasting or telling or failures)[0]
    return None


def _failures(store: Store, paths: RunPaths, step: Step, clear: int) -> list[StepFailure]:
    """Return what the attempts of a step said in one clear of the run, oldest first."""
    found: dict[str, tuple[float, int, StepFailure]] = {}
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
        before = found.get(failure.attempt)
        at = info.last_modified.timestamp()
        if before is None or at < before[0]:
            found[failure.attempt] = (at, number, failure)
    return [failure for _, _, failure in sorted(found.values(), key=lambda item: item[:2])]


def _clear_of(store: Store, paths: RunPaths, attempt: re.Match[str]) -> int | None:
    """Return which clear of the run an attempt belongs to."""
    if attempt["clear"] is not None:
        return int(attempt["clear"])
    manifest = find_manifest(store, paths)
    if manifest is None:
        return None
    claims = JobClaims(store, paths, manifest).claims()
    return next((one.clear for one in claims if one.number == int(attempt["job"])), None)
