"""What a job does around its step: open the store, check the plan, leave evidence or a failure.

`python -m include.retraining train --run URI --attempt WORD` ends here, on every backend. Exit
codes: 0 done, 1 the same inputs fail again, 75 another try may succeed (`EX_TEMPFAIL`).
"""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from include.retraining.attempts import Attempts
from include.retraining.code import check_same_code
from include.retraining.config import ModelConfig
from include.retraining.exceptions import EvidenceError, RetrainingError
from include.retraining.exhaustion import exhausted
from include.retraining.foreign_errors import IN_THE_LOG, kind_and_place
from include.retraining.layout import RunPaths
from include.retraining.manifest import RunManifest, read_manifest
from include.retraining.redaction import redact
from include.retraining.registry import open_store
from include.retraining.results import (
    Cost,
    StepFailure,
    find_result,
    write_failure,
    write_result,
)
from include.retraining.steps import JobStep
from include.retraining.storage import Store
from include.retraining.verdict import Verdict

EXIT_PERMANENT = 1
EXIT_RETRY = 75
ATTEMPT_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"


@dataclass(frozen=True)
class Job:
    """One attempt at one step of a run."""

    store: Store
    paths: RunPaths
    manifest: RunManifest
    config: ModelConfig
    """Parsed from the manifest: what the run was planned with."""
    attempt: str
    """Tells this attempt from any other; safe as the name of a folder."""
    started: float
    """When the process started, in seconds since 1970."""


def run_steps(
    steps: Sequence[JobStep], run_uri: str, attempt: str, claim: int | None = None
) -> int:
    """Run some steps of a run, in order, and return the process's exit code.

    A step whose verified result is there already is not done again; one that fails is the last.

    Args:
        steps: their names.
        run_uri: the address of the run's folder, `STORE/models/NAME/runs/RUN`.
        attempt: a word of its own for each try.
        claim: the number under which the job was submitted, where it runs elsewhere.
    """
    started = process_started()
    for step in steps:
        code = _run_step(step, run_uri, attempt, claim, started)
        if code != 0:
            return code
        started = time.time()
        forget_peak_memory()
    return 0


def _run_step(step: JobStep, run_uri: str, attempt: str, claim: int | None, started: float) -> int:
    job: Job | None = None
    try:
        opened = open_job(run_uri, attempt, started=started)
        if claim is not None:
            # Before `job` is set: what may not start has no word in the store either.
            Attempts(opened.store, opened.paths, opened.manifest).begin(claim, step)
        job = opened
        check_same_code(job.manifest.code, job.manifest.model, trains=step == "train")
        if not _is_done(step, job):
            _do(step, job)
    except Exception as error:  # noqa: BLE001 whatever it was, the run must hear of it
        return _fail(step, attempt, job, error)
    return 0


def open_job(run_uri: str, attempt: str, *, started: float | None = None) -> Job:
    """Open the store and the plan that a job was started for.

    Args:
        run_uri: the address of the run's folder.
        attempt: a word of its own for each try.
        started: when the step began, in seconds since 1970; when the process did, if not given.

    Raises:
        CodeChanged: when this code cannot even read the plan's configuration.
        ConfigError: for an address that is not a run's.
        EvidenceError: for an attempt's word that is no plain word.
        NotFound: when the run was never planned.
        StorageError: when the store refuses, does not answer or was never initialised.
    """
    if not re.fullmatch(ATTEMPT_PATTERN, attempt):
        raise EvidenceError(f"--attempt {attempt[:80]!r}: allowed are letters, digits and '_.-'")
    store_uri, paths = RunPaths.from_uri(run_uri)
    store = open_store(store_uri)
    manifest = read_manifest(store, paths)
    try:
        config = ModelConfig.model_validate(manifest.config)
    except ValidationError:
        check_same_code(manifest.code, manifest.model)
        raise
    started = process_started() if started is None else started
    return Job(store, paths, manifest, config, _folder(attempt), started)


def _folder(attempt: str) -> str:
    """Return the attempt's word with the number of the platform's own try, where it tries again.

    AWS Batch starts a job anew whose host was lost; its files must not mix with the lost one's.
    """
    again = int(os.environ.get("AWS_BATCH_JOB_ATTEMPT", "1"))
    return attempt if again == 1 else f"{attempt}-{again}"


def cost(job: Job) -> Cost:
    """Return what the job used until now: wall time since its process started, peak memory."""
    return Cost(seconds=round(time.time() - job.started, 3), peak_memory_bytes=peak_memory_bytes())


def peak_memory_bytes() -> int:
    """Return the greatest resident set of this process.

    Linux counts into `ru_maxrss` what the parent used before this program replaced it; `VmHWM` is
    the program's own.
    """
    try:
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1]) * 1024  # type: ignore[index]
    except (OSError, TypeError):  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def forget_peak_memory() -> None:
    """Let the peak begin anew, for the next step of the same process. Only Linux can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def process_started() -> float:
    """Return when this process started, in seconds since 1970 (now, where the system hides it)."""
    try:
        after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return time.time()
    age = uptime - int(after_name[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def end_with_parent() -> None:
    """End this process and all its children when its standard input is closed.

    The parent holds the other end of the pipe and never writes to it, so that end of file means
    that the parent is gone, however it went. The job becomes the leader of its process group first.
    """
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    threading.Thread(target=_wait_for_end_of_input, name="end-with-parent", daemon=True).start()


def _wait_for_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    try:
        os.write(2, b"the parent process is gone: this job ends\n")
    finally:
        os.killpg(0, signal.SIGKILL)


def _is_done(step: JobStep, job: Job) -> bool:
    """Return whether another attempt left a result that verifies."""
    if step == "card":
        return False
    try:
        result = find_result(job.store, job.paths, job.manifest, step)
    except EvidenceError as error:
        sys.stdout.write(
            f"{step}: the result that is there is no evidence ({error}): doing it again\n"
        )
        return False
    if result is not None:
        sys.stdout.write(f"{step}: already done and verified\n")
    return result is not None


def _do(step: JobStep, job: Job) -> None:
    """Run a step; its libraries are imported only now."""
    if step == "validate":
        from include.retraining.validation import validate

        write_result(job, validate(job))
    elif step == "train":
        from include.retraining.training import train

        write_result(job, train(job))
    elif step == "evaluate":
        from include.retraining.evaluation import evaluate

        write_result(job, evaluate(job))
    else:
        from include.retraining.card import write_card

        write_card(job.store, job.paths, job.manifest, _newest_verdict(job.store, job.paths))


def _newest_verdict(store: Store, paths: RunPaths) -> Verdict:
    """Return the verdict of the run's last clear: the one that the card shows."""
    found = {}
    for info in store.children(paths.folder)[1]:
        match = re.search(r"/verdict-(\d+)\.json$", info.key)
        if match:
            found[int(match[1])] = info.key
    if not found:
        raise EvidenceError(f"{store.uri}/{paths.folder}: has no verdict: there is nothing to show")
    key = found[max(found)]
    return Verdict.from_bytes(store.read(key), where=key)


def _log_cause(step: JobStep, error: RetrainingError) -> None:
    """Write what a library said into the task's log, where the error's own words leave it out."""
    cause = error.__cause__
    text = " ".join(str(cause).split())[:1000]
    if cause is not None and not isinstance(cause, RetrainingError) and text not in str(error):
        sys.stderr.write(f"{step}: because of {type(cause).__name__}: {redact(text)}\n")


def _fail(step: JobStep, attempt: str, job: Job | None, error: Exception) -> int:
    """Say in one line and in the store why a step failed; return the exit code."""
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
    sys.stderr.write(f"{step} failed ({kind}): {message}\n")
    return EXIT_PERMANENT if is_permanent else EXIT_RETRY
