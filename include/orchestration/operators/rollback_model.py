"""The tasks of a rollback: see what it would change, try the version, let it serve."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias, BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from include.orchestration.backends.local.limits import memory_limit
from include.orchestration.backends.local.operator import follow, job_environment
from include.orchestration.backends.local.process import ChildProcess
from include.orchestration.forms.request_form import Request, read_request, rollback_params
from include.orchestration.notifications.manual_change import tell_by_hand
from include.orchestration.operators.champion_asset import champion_asset
from include.orchestration.runtime.bundle import assert_own_bundle
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.store import StoreAddress, open_store, store_address
from include.orchestration.runtime.supervisor import die_with_parent
from include.retraining.config.model import load_model
from include.retraining.config.step_compute import LocalCompute
from include.retraining.exceptions import ArtifactError, EvidenceError, InfrastructureError
from include.retraining.runs.exit_protocol import EXIT_DONE, EXIT_RETRY

if TYPE_CHECKING:
    from include.retraining.rollback.plan import RollbackPlan

TRY_SECONDS = 600


class CheckRollbackOperator(BaseOperator):
    """Checks what was typed, and finds what would change. Nothing heavy, nothing is written."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the plan, for the tasks behind it."""
        from include.retraining.rollback.plan import plan_rollback

        with fail_permanent_errors():
            assert_own_bundle(context)
            request = read_request(context, rollback_params())
            plan = plan_rollback(
                open_store(),
                load_model(request.model).name,
                request.version,
                request=request.name,
                seen=request.generation,
                asked_at=request.asked_at,
                since=request.due,
            )
        self.log.info("asked by %s: %s", request.actor, request.reason)
        self.log.info("it would be: %s", plan.summary)
        return plan.model_dump(mode="json")


class TryVersionOperator(BaseOperator):
    """Lets the version answer on the holdout that was scored last, in a child of its own.

    The child gets what a local job gets: an environment without Airflow's secrets, and an end when
    this task ends.
    """

    def __init__(self, *, plan_task: str, **kwargs: Any) -> None:
        """Try the version of a plan.

        Args:
            plan_task: id of the task that returned it.
            kwargs: of any operator.
        """
        super().__init__(**kwargs)
        self.plan_task = plan_task
        self._child: ChildProcess | None = None

    def execute(self, context: Context) -> str:
        """Return what was tried, in a sentence."""
        with fail_permanent_errors():
            root = assert_own_bundle(context)
            plan = read_plan(context, self.plan_task)
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


class RollBackOperator(BaseOperator):
    """Appends the rollback to the promotion log, tells people, and emits the champion's event.

    A dry run changes nothing and ends as skipped. Safe to repeat: another try, or a cleared run,
    finds the entry that the run made.
    """

    def __init__(self, *, plan_task: str, try_task: str, **kwargs: Any) -> None:
        """Roll back as planned.

        Args:
            plan_task: id of the task that returned the plan.
            try_task: id of the task that tried the version.
            kwargs: of any operator.
        """
        self.alias = AssetAlias("rolled_back_champion")
        super().__init__(outlets=[self.alias], **kwargs)
        self.plan_task = plan_task
        self.try_task = try_task

    def execute(self, context: Context) -> dict[str, Any]:
        """Return what serves now."""
        from include.retraining.registry.promotion import Registry
        from include.retraining.rollback.messages import rolled_back

        die_with_parent()
        with fail_permanent_errors():
            assert_own_bundle(context)
            request = read_request(context, rollback_params())
            plan = read_plan(context, self.plan_task)
            tried = context["ti"].xcom_pull(task_ids=self.try_task)
            if plan.model != request.model or not isinstance(tried, str) or not tried:
                raise EvidenceError(f"the version was not tried: clear `{self.try_task}`")
            if request.dry_run:
                self._end_dry_run(context, request, plan, tried)
            registry = Registry(open_store(), plan.model)
            entry = registry.rollback(
                plan.target.version,
                actor=request.actor,
                reason=request.reason,
                seen=plan.serving.generation,
                request=request.name,
            )
            head = registry.log.head()
        self.log.info("rolled back, generation %d: %s; %s", entry.generation, plan.summary, tried)
        tell_by_hand(registry.store, context, rolled_back, entry, plan=plan, tried=tried)
        event: dict[str, Any] = {"version": entry.version, "generation": entry.generation}
        if head != entry.generation:
            raise AirflowSkipException(
                f"this run had rolled back before, as generation {entry.generation}; generation "
                f"{head} serves since"
            )
        champion: Asset = champion_asset(plan.model)
        context["outlet_events"][self.alias].add(champion, extra=event)
        return event

    def _end_dry_run(
        self, context: Context, request: Request, plan: RollbackPlan, tried: str
    ) -> None:
        words = f"dry run, nothing was changed. It would be: {plan.summary}; {tried}"
        self.log.info("%s", words)
        context["ti"].xcom_push(key="dry_run", value=words)
        self.log.info(
            "to do it, trigger %s again without dry run, with generation %d",
            request.name.partition("/")[0],
            plan.serving.generation,
        )
        raise AirflowSkipException(words)


def read_plan(context: Context, task_id: str) -> RollbackPlan:
    """Return the plan that a task of the run returned.

    Raises:
        EvidenceError: when it returned none.
    """
    from include.retraining.documents import canonical_json
    from include.retraining.rollback.plan import RollbackPlan

    value = context["ti"].xcom_pull(task_ids=task_id)
    return RollbackPlan.from_bytes(canonical_json(value), where=f"what `{task_id}` returned")
