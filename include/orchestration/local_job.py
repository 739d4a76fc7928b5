"""Run one heavy step as a child process of the worker."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context

from include.orchestration.bundle import assert_own_bundle
from include.orchestration.child_process import ChildProcess, Orphaned
from include.orchestration.failing import failing_clearly
from include.orchestration.run_reference import attempt_word, run_reference
from include.orchestration.step_failure import failure_reason, leave_failure
from include.orchestration.store_connection import StoreAddress, open_store, store_address
from include.retraining.config import Compute
from include.retraining.exceptions import JobKilled

if TYPE_CHECKING:
    from include.retraining.layout import RunPaths
    from include.retraining.results import JobStep, StepFailure
    from include.retraining.storage import Store

# All that a job gets of our environment. AIRFLOW__* and AIRFLOW_CONN_* hold every secret there is.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV")
THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")


class LocalJobOperator(BaseOperator):
    """Runs `python -m include.retraining STEP --run URI` in a process group of its own.

    The job's lines appear in the task's log as they are written. It ends with everything it
    started when its time is up, when the task is killed, and when the task's process dies: it
    watches its standard input, a pipe that closes then. That it exits with 0 is no evidence; its
    result in the store is.
    """

    def __init__(self, *, step: JobStep, compute: Compute, **kwargs: Any) -> None:
        """Run one step.

        Args:
            step: `validate`, `train`, `evaluate` or `card`.
            compute: what the job may use.
            kwargs: of any operator.
        """
        super().__init__(**kwargs)
        self.step = step
        self.compute = compute
        self._child: ChildProcess | None = None

    def execute(self, context: Context) -> None:
        """Run the job and check the evidence that it leaves."""
        from include.retraining.manifest import current_plan

        with failing_clearly():
            root = assert_own_bundle(context)
            address, store = store_address(), open_store()
            paths = current_plan(store, run_reference(context).paths)
            attempt = attempt_word(context)
            try:
                exit_code, last_line = self._run(root, address, paths.uri(address.uri), attempt)
            except JobKilled as error:
                # The job could not say it itself, and the run's callback is another process.
                leave_failure(store, paths, self._failure(context, attempt, error))
                raise
            if exit_code != 0:
                raise failure_reason(
                    store, paths, self.step, attempt, exit_code=exit_code, last_line=last_line
                )
            self._check_evidence(store, paths)

    def on_kill(self) -> None:
        """End the job; `execute` then fails, so that a kill is never taken for a success."""
        if self._child is not None:
            self._child.stop("the task was killed")

    def _run(
        self, root: Path, address: StoreAddress, run_uri: str, attempt: str
    ) -> tuple[int, str]:
        """Return the job's exit code and its last line.

        Raises:
            JobKilled: when it was ended from outside, saying by what.
        """
        command = [sys.executable, "-m", "include.retraining", self.step]
        command += ["--run", run_uri, "--attempt", attempt, "--watch-parent"]
        memory_gb = self.compute.memory_gb
        child = self._child = ChildProcess(
            command,
            folder=root,
            environment=job_environment(address, self.compute),
            timeout_seconds=self.compute.timeout_seconds,
            memory_bytes=None if memory_gb is None else int(memory_gb * 1e9),
        )
        self.log.info("process %d: %s", child.pid, " ".join(command[1:]))
        line = ""
        try:
            for line in child.lines():
                self.log.info("%s", line)
        except Orphaned:
            child.end()
            # Airflow has written this attempt off, and nobody reads what we would say.
            os._exit(1)
        finally:
            child.end()
        if child.stopped_because is not None:
            raise JobKilled(f"{self.step}: {child.stopped_because}")
        if child.exit_code < 0:
            raise JobKilled(f"{self.step}: {child.cause_of_death()}")
        return child.exit_code, line

    def _failure(self, context: Context, attempt: str, error: JobKilled) -> StepFailure:
        from include.retraining.results import StepFailure

        return StepFailure(
            run_id=context["run_id"],
            step=self.step,
            attempt=attempt,
            kind=error.kind,
            is_permanent=error.is_permanent,
            message=str(error),
        )

    def _check_evidence(self, store: Store, paths: RunPaths) -> None:
        from include.retraining.manifest import read_manifest
        from include.retraining.results import read_result

        if self.step != "card":
            read_result(store, paths, read_manifest(store, paths), self.step)


def job_environment(address: StoreAddress, compute: Compute) -> dict[str, str]:
    """Return the whole environment of a job: what it needs, and no secret but the store's."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    if compute.cpu is not None:
        environment |= dict.fromkeys(THREAD_LIMITS, str(compute.cpu))
    return environment | {
        "PYTHONUNBUFFERED": "1",
        "RETRAINING_STORE": address.uri,
        "RETRAINING_STORE_OPTIONS": json.dumps(address.options),
    }
