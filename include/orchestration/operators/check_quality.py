"""Ask the gate, and go where its answer leads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseBranchOperator, Context

from include.orchestration.operators.branching import LeadsOn
from include.orchestration.runtime.bundle import assert_own_bundle
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.lineage import NamesLineage
from include.orchestration.runtime.run_reference import run_reference
from include.orchestration.runtime.store import open_store


class CheckQualityOperator(LeadsOn, NamesLineage, BaseBranchOperator):
    """Judges the evaluation; only a PASS leads to the promotion.

    The first task that has all of a run's verified evidence, so the one that says to OpenLineage
    which version was made of which delivery, wherever it was trained.
    """

    def __init__(
        self,
        *,
        when_passed: Sequence[str],
        when_refused: Sequence[str],
        **kwargs: Any,
    ) -> None:
        """Judge runs.

        Args:
            when_passed: ids of the tasks that come next when every gate passed.
            when_refused: ids of the tasks that come next when one did not, or cannot judge.
            kwargs: of any operator.
        """
        super().__init__(**kwargs)
        self.when_passed = list(when_passed)
        self.when_refused = list(when_refused)

    def choose_branch(self, context: Context) -> list[str]:
        """Judge, show the verdict and choose how the run goes on."""
        from include.retraining.formatting.text import visible
        from include.retraining.runs.manifest import current_plan, read_manifest
        from include.retraining.steps.decide import check_quality
        from include.retraining.store.layout import version_folder

        with fail_permanent_errors():
            assert_own_bundle(context)
            store, run = open_store(), run_reference(context)
            verdict = check_quality(store, run)
            manifest = read_manifest(store, current_plan(store, run.paths))
        version = f"{store.uri}/{version_folder(manifest.model, manifest.version)}"
        self.name_lineage(taken=[manifest.delivery.location], made=[version])
        self.log.info("%s: %s", verdict.answer, verdict.headline)
        for gate in verdict.gates:
            self.log.info("%s %s: %s", gate.answer, gate.gate, gate.reason)
        ti = context["ti"]
        ti.xcom_push(key="verdict", value=str(verdict.answer))
        ti.xcom_push(key="headline", value=visible(verdict.headline))
        ti.xcom_push(
            key="gates",
            value={
                visible(gate.gate): {
                    "answer": str(gate.answer),
                    "value": gate.value,
                    "limit": gate.limit,
                }
                for gate in verdict.gates
            },
        )
        return self.when_passed if verdict.passed else self.when_refused
