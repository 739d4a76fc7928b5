"""Running the steps of a job, in order: each leaves evidence, or a failure and an exit code.

`python -m include.retraining train --run URI --attempt WORD` ends here, on every backend. Exit
codes: 0 done, 1 the same inputs fail again, 75 another try may succeed (`exit_protocol`).
"""

from __future__ import annotations

import re
import sys
import time
import traceback
from collections.abc import Sequence

from include.retraining.config.step_names import JobStep
from include.retraining.exceptions import EvidenceError, RetrainingError
from include.retraining.fingerprint.digests import check_same_code
from include.retraining.formatting.text import truncate
from include.retraining.gate.verdict import Verdict
from include.retraining.runs.claims import JobClaims
from include.retraining.runs.exhaustion import exhausted
from include.retraining.runs.exit_protocol import EXIT_DONE, LastLine, exit_code
from include.retraining.runs.foreign_errors import IN_THE_LOG, kind_and_place
from include.retraining.runs.job import Job, open_job
from include.retraining.runs.process import process_started, reset_peak_memory
from include.retraining.runs.results import StepFailure, write_failure, write_result
from include.retraining.scoring.any_run import find_any_result
from include.retraining.scoring.job import ScoreJob, open_score_job
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store
from include.retraining.store.redaction import redact


def run_steps(
    steps: Sequence[JobStep], run_uri: str, attempt: str, claim: int | None = None
) -> int:
    """Run some steps of a run, in order, and return the process's exit code.

    A step whose verified result is there already is not done again; one that fails is the last.

    Args:
        steps: their names.
        run_uri: the address of the run's folder, `STORE/models/NAME/runs/RUN`.
        attempt: a unique id for each attempt.
        claim: the number under which the job was submitted, where it runs elsewhere.
    """
    started = process_started()
    for step in steps:
        code = _run_step(step, run_uri, attempt, claim, started)
        if code != EXIT_DONE:
            return code
        started = time.time()
        reset_peak_memory()
    return EXIT_DONE


def _run_step(step: JobStep, run_uri: str, attempt: str, claim: int | None, started: float) -> int:
    job: Job | ScoreJob | None = None
    try:
        opened = (
            open_score_job(run_uri, attempt, started=started)
            if step == "score"
            else open_job(run_uri, attempt, started=started)
        )
        if claim is not None:
            # Before `job` is set: a job that may not start must not write to the store either.
            JobClaims(opened.store, opened.paths, opened.manifest).begin(claim, step)
        job = opened
        check_same_code(job.manifest.code, job.manifest.model, trains=step == "train")
        if not _is_done(step, job):
            _do(step, job)
    except Exception as error:  # noqa: BLE001 any error must be recorded for the run
        return _fail(step, attempt, job, error)
    return EXIT_DONE


def _is_done(step: JobStep, job: Job | ScoreJob) -> bool:
    """Return whether another attempt left a result that verifies."""
    try:
        result = find_any_result(job.store, job.paths, job.manifest, step)
    except EvidenceError as error:
        sys.stdout.write(
            f"{step}: the result that is there is no evidence ({error}): doing it again\n"
        )
        return False
    if result is not None:
        sys.stdout.write(f"{step}: already done and verified\n")
    return result is not None


def _do(step: JobStep, job: Job | ScoreJob) -> None:
    """Run a step; its libraries are imported only now."""
    if isinstance(job, ScoreJob):
        from include.retraining.monitoring.label_grade import with_grades
        from include.retraining.monitoring.scoring_drift import observe_scored
        from include.retraining.scoring.score import score

        result = with_grades(job, score(job))
        write_result(job.store, job.paths, job.manifest, result)
        observe_scored(job, result)  # after the result: the scores wait for nothing
    elif step == "validate":
        from include.retraining.steps.validate import validate

        write_result(job.store, job.paths, job.manifest, validate(job))
    elif step == "train":
        from include.retraining.steps.train import train

        write_result(job.store, job.paths, job.manifest, train(job))
    elif step == "evaluate":
        from include.retraining.steps.evaluate import evaluate

        write_result(job.store, job.paths, job.manifest, evaluate(job))
    elif step == "grade":
        from include.retraining.monitoring.delivery_drift import observe_delivery
        from include.retraining.monitoring.delivery_grade import grade_champion

        grade_champion(job)
        observe_delivery(job)
    else:
        from include.retraining.model_card.render import write_card

        write_card(job.store, job.paths, job.manifest, _newest_verdict(job.store, job.paths))


def _newest_verdict(store: Store, paths: RunPaths) -> Verdict:
    """Return the verdict of the run's last clear: the one that the card shows."""
    verdicts = {}
    for info in store.children(paths.folder)[1]:
        match = re.search(r"/verdict-(\d+)\.json$", info.key)
        if match:
            verdicts[int(match[1])] = info.key
    if not verdicts:
        raise EvidenceError(f"{store.uri}/{paths.folder}: has no verdict: there is nothing to show")
    key = verdicts[max(verdicts)]
    return Verdict.from_bytes(store.read(key), where=key)


def _log_cause(step: JobStep, error: RetrainingError) -> None:
    """Log a library's message in the task's log, where the error's own text omits it."""
    cause = error.__cause__
    text = truncate(str(cause), 1000)
    if cause is not None and not isinstance(cause, RetrainingError) and text not in str(error):
        sys.stderr.write(f"{step}: because of {type(cause).__name__}: {redact(text)}\n")


def _fail(step: JobStep, attempt: str, job: Job | ScoreJob | None, error: Exception) -> int:
    """Record why a step failed, in one log line and in the store; return the exit code."""
    ran_out = exhausted(error)
    if ran_out is not None:
        kind, is_permanent, message = ran_out.kind, False, ran_out.message
        traceback.print_exception(error)
    elif isinstance(error, RetrainingError):
        kind, is_permanent, message = error.kind, error.is_permanent, str(error)
        _log_cause(step, error)
    else:
        traceback.print_exc()
        kind, is_permanent = "error", True
        message = f"{kind_and_place(error)}; {IN_THE_LOG}"
    message = redact(message)
    if job is not None:
        failure = StepFailure(
            run_id=job.manifest.run_id,
            step=step,
            attempt=attempt,
            kind=kind,
            is_permanent=is_permanent,
            message=message,
        )
        try:
            write_failure(job.store, job.paths, failure)
        except RetrainingError as unwritten:
            message = f"{message} (nor could this be written down: {unwritten})"
    sys.stderr.write(f"{LastLine(step, kind, message)}\n")
    return exit_code(is_permanent=is_permanent)
