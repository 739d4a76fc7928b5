"""Pin what a run uses, and see whether there is anything to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseBranchOperator, Context

from include.orchestration.forms.run_form import read_params
from include.orchestration.notifications.run_ended import close_and_tell
from include.orchestration.operators.branching import LeadsOn
from include.orchestration.runtime.bundle import IMAGE_VARIABLE, assert_own_bundle, git_sha
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.run_reference import run_reference
from include.orchestration.runtime.store import open_store
from include.retraining.config.compute import resolve
from include.retraining.config.model import ModelConfig
from include.retraining.config.sizes import BYTES_PER_GIB
from include.retraining.config.step_names import STEPS

if TYPE_CHECKING:
    from include.retraining.runs.manifest import RunManifest


class PlanRunOperator(LeadsOn, BaseBranchOperator):
    """Writes the run manifest; goes on to the jobs only when an earlier run gives no answer."""

    def __init__(
        self, *, config: ModelConfig, when_new: str, when_unchanged: str, **kwargs: Any
    ) -> None:
        """Plan runs of one model.

        Args:
            config: the model's.
            when_new: id of the task that comes next when there is something to decide.
            when_unchanged: id of the task that comes next when there is not, or when newer data
                serves already.
            kwargs: of any operator.
        """
        super().__init__(**kwargs)
        self.config = config
        self.when_new = when_new
        self.when_unchanged = when_unchanged

    def choose_branch(self, context: Context) -> str:
        """Plan the run and choose how it goes on."""
        from include.retraining.decisions.record import Outcome
        from include.retraining.steps.plan import (
            answer_of,
            plan_run,
            unchanged,
            why_judged_again,
            why_pointless,
        )
        from include.retraining.store.layout import RunPaths

        with fail_permanent_errors():
            assert_own_bundle(context)
            params = read_params(context, self.config.trigger.timezone)
            self.log.info("params: %s", params.model_dump(mode="json"))
            store, run = open_store(), run_reference(context)
            manifest = plan_run(
                store,
                self.config,
                dag_id=run.dag_id,
                run_id=run.run_id,
                run_after=run.run_after,
                params=params,
                cause=run.cause,
                git_sha=git_sha(context),
                image=os.environ.get(IMAGE_VARIABLE),
            )
            facts = {
                "run": RunPaths(manifest.model, manifest.run).uri(store.uri),
                "version": manifest.version,
                "fingerprint": manifest.fingerprint,
                "files": len(manifest.delivery.files),
                "bytes": manifest.delivery.total_bytes,
            }
            for key, value in facts.items():
                self.log.info("%s: %s", key, value)
                context["ti"].xcom_push(key=key, value=value)
            for step, words in _compute_words(self.config, manifest):
                self.log.info("%s: %s", step, words)
            earlier = unchanged(store, manifest)
            if earlier is None:
                reason = why_pointless(store, manifest)
                if reason is None:
                    self.log.info(
                        "%s", why_judged_again(store, manifest) or "new: not decided on before"
                    )
                    return self.when_new
                self.log.info("nothing is trained: %s", reason)
                close_and_tell(context, Outcome.SUPERSEDED, f"nothing was trained: {reason}")
                return self.when_unchanged
            reason = earlier.reason
            if earlier.outcome is not Outcome.NO_CHANGE:  # that one says already who decided
                reason = answer_of(earlier, manifest)
            self.log.info("%s", reason)
            close_and_tell(context, Outcome.NO_CHANGE, reason)
            return self.when_unchanged


def _compute_words(config: ModelConfig, manifest: RunManifest) -> Iterator[tuple[str, str]]:
    """Yield, for each step, what it may use and what it used last."""
    for step in STEPS:
        compute = resolve(config.compute.of(step), manifest.delivery.total_bytes)
        peak = manifest.last_peak_memory_bytes.get(step)
        used = "" if peak is None else f" (used last: up to {peak / BYTES_PER_GIB:.2f} GiB)"
        yield step, f"{compute.summary}{used}"
