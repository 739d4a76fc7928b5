"""Run one heavy step as a child process of the worker."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from include.orchestration.backends.failure import failure_reason, record_failure
from include.orchestration.backends.grading import has_nothing_to_grade
from include.orchestration.backends.local.environment import job_environment
from include.orchestration.backends.local.limits import limited, log_limit, memory_limit
from include.orchestration.backends.local.process import ChildProcess, Orphaned
from include.orchestration.backends.local.warm_start import start_job
from include.orchestration.backends.training_elsewhere import WaitsForOtherTraining
from include.orchestration.runtime.bundle import assert_own_bundle
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.run_reference import attempt_id, run_reference
from include.orchestration.runtime.store import StoreAddress, open_store, store_address
from include.retraining.config.compute import resolve
from include.retraining.config.step_compute import LocalCompute
from include.retraining.exceptions import JobKilled

if TYPE_CHECKING:
    from include.retraining.config.step_names import JobStep
    from include.retraining.runs.results import StepFailure


class LocalJobOperator(WaitsForOtherTraining):
    """Runs `python -m include.retraining STEP --run URI` in its own process group.

    The job's lines appear in the task's log as they are written. It ends with everything it
    started when its time is up, when the task is killed, and when the task's process dies: it
    watches its standard input, a pipe that closes then. That it exits with 0 is no evidence; its
    result in the store is.
    """

    def __init__(self, *, step: JobStep, compute: LocalCompute, **kwargs: Any) -> None:
        """Run one step.

        Args:
            step: `validate`, `train`, `evaluate`, `card`, `grade` or `score`.
            compute: what the job may use.
            kwargs: of any operator.
        """
        super().__init__(**kwargs)
        self.step = step
        self.compute = compute
        self._child: ChildProcess | None = None
        self._is_killed = False

    def begin(self, context: Context) -> None:
        """Run the job and check the evidence that it leaves."""
        from include.retraining.runs.manifest import current_plan
        from include.retraining.scoring.any_run import read_any_plan, require_any_result

        with fail_permanent_errors(), self.waiting_for_other_training():
            root = assert_own_bundle(context)
            store = open_store()
            paths = current_plan(store, run_reference(context).paths)
            manifest = read_any_plan(store, paths)
            if has_nothing_to_grade(self.step, store, manifest):
                self.log.info("the champion is graded, and the delivery compared, already")
                return
            self.wait_for_other_training(store, manifest)
            compute = resolve(self.compute, manifest.total_bytes)
            address = store_address(seconds=compute.timeout_seconds)
            attempt = attempt_id(context)
            try:
                exit_code, last_line = self._run(
                    root, address, compute, paths.uri(address.uri), attempt
                )
            except JobKilled as error:
                # The job could not record it itself, and the run's callback is another process.
                record_failure(store, paths, self._failure(context, attempt, error))
                raise
            if exit_code != 0:
                raise failure_reason(
                    store, paths, self.step, attempt, exit_code=exit_code, last_line=last_line
                )
            require_any_result(store, paths, manifest, self.step)

    def on_kill(self) -> None:
        """End the job; `execute` then fails, so that a kill is never taken for a success."""
        self._is_killed = True
        if self._child is not None:
            self._child.stop("the task was killed")

    def _run(
        self,
        root: Path,
        address: StoreAddress,
        compute: LocalCompute,
        run_uri: str,
        attempt: str,
    ) -> tuple[int, str]:
        """Return the job's exit code and its last line.

        Raises:
            JobKilled: when it was ended from outside, saying by what.
        """
        command = [sys.executable, "-m", "include.retraining", self.step]
        command += ["--run", run_uri, "--attempt", attempt, "--watch-parent"]
        child = self._child = ChildProcess(
            command,
            folder=root,
            environment=job_environment(address, compute),
            timeout_seconds=compute.timeout_seconds,
            memory_bytes=memory_limit(compute.memory_mib),
            start=start_job,
        )
        if self._is_killed:  # while it started
            child.stop("the task was killed")
        self.log.info("process %d: %s", child.pid, " ".join(command[1:]))
        return follow(child, self.step, self.log, options=address.options)

    def _failure(self, context: Context, attempt: str, error: JobKilled) -> StepFailure:
        from include.retraining.runs.results import StepFailure

        return StepFailure(
            run_id=context["run_id"],
            step=self.step,
            attempt=attempt,
            kind=error.kind,
            is_permanent=error.is_permanent,
            message=str(error),
        )


def follow(
    child: ChildProcess, what: str, log: Any, *, options: Mapping[str, str]
) -> tuple[int, str]:
    """Log a child's output until it has ended; return its exit code and its last line.

    Beyond the log's limit only the end is logged.

    Args:
        child: the process, just started.
        what: it does, for the error.
        log: the task's.
        options: of the store, which the child was given; its secrets are masked in the output.

    Raises:
        JobKilled: when it was ended from outside, saying by what.
    """
    from include.retraining.store.redaction import masking

    # Airflow masks a task's log, and not what LocalExecutor repeats on its own output.
    masked = masking(options)
    line = ""
    try:
        for text in limited(child.lines(), log_limit()):
            line = masked(text)
            log.info("%s", line)
    except Orphaned:
        child.end()
        # Airflow has written this attempt off, and nothing reads what it would raise.
        os._exit(1)
    finally:
        child.end()
    if child.stopped_because is not None:
        raise JobKilled(f"{what}: {child.stopped_because}")
    if child.exit_code < 0:
        raise JobKilled(f"{what}: {child.cause_of_death()}")
    return child.exit_code, line
