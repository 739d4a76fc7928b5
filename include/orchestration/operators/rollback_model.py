"""The version that a rollback names answers, in a child process, before it becomes the champion."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context

from include.orchestration.backends.local.environment import job_environment
from include.orchestration.backends.local.limits import memory_limit
from include.orchestration.backends.local.operator import follow
from include.orchestration.backends.local.process import ChildProcess
from include.orchestration.operators.rollback_tasks import read_plan
from include.orchestration.runtime.bundle import assert_own_bundle
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.store import StoreAddress, store_address
from include.retraining.config.step_compute import LocalCompute
from include.retraining.exceptions import ArtifactError, InfrastructureError
from include.retraining.runs.exit_protocol import EXIT_DONE, EXIT_RETRY

if TYPE_CHECKING:
    from include.retraining.rollback.plan import RollbackPlan

TRY_SECONDS = 600


class TryVersionOperator(BaseOperator):
    """Has the version predict the holdout that was scored last, in its own child process.

    The child gets what a local job gets: an environment without Airflow's secrets, and an end when
    this task ends.
    """

    # Where Airflow searches for another task's output; nothing else in it is a template.
    template_fields: Sequence[str] = ("plan",)

    def __init__(self, *, plan: Any, **kwargs: Any) -> None:
        """Try the version of a plan.

        Args:
            plan: the output of the task that checked the request.
            kwargs: of any operator.
        """
        super().__init__(**kwargs)
        self.plan = plan
        self._child: ChildProcess | None = None

    def execute(self, context: Context) -> str:
        """Return what was tried, in a sentence."""
        with fail_permanent_errors():
            root = assert_own_bundle(context)
            plan = read_plan(self.plan)
            exit_code, line = self._run(root, store_address(), plan)
            if exit_code == EXIT_RETRY:
                raise InfrastructureError(line)
            if exit_code != EXIT_DONE:
                raise ArtifactError(line)
        return line

    def on_kill(self) -> None:
        """End the child; `execute` then fails."""
        if self._child is not None:
            self._child.stop("the task was killed")

    def _run(self, root: Path, address: StoreAddress, plan: RollbackPlan) -> tuple[int, str]:
        words = ["try", plan.model, "--version", plan.target.version, "--watch-parent"]
        self._child = ChildProcess(
            [sys.executable, "-m", "include.retraining", *words],
            folder=root,
            environment=job_environment(address, LocalCompute()),
            timeout_seconds=TRY_SECONDS,
            memory_bytes=memory_limit(None),
        )
        what = f"version {plan.target.version}"
        return follow(self._child, what, self.log, options=address.options)
