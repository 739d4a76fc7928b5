"""Let the challenger serve."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.orchestration.notifications.send import tell
from include.orchestration.operators.champion_asset import champion_asset
from include.orchestration.runtime.bundle import assert_own_bundle
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.lineage import NamesLineage
from include.orchestration.runtime.run_reference import run_reference
from include.orchestration.runtime.store import open_store
from include.orchestration.runtime.supervisor import die_with_parent


class DeployModelOperator(NamesLineage, BaseOperator):
    """Promotes, tells people, and emits the event that scoring DAGs listen to.

    A dry run, a run that another was faster than, and one whose model is on hold promote nothing:
    the task ends as skipped, without an event. An approval that does not count is red. A task that
    was killed behind its promotion emits the event when it is cleared, if its version serves still.
    """

    def __init__(self, *, model: str, **kwargs: Any) -> None:
        """Promote versions of one model.

        Args:
            model: its name.
            kwargs: of any operator.
        """
        self.champion = champion_asset(model)
        super().__init__(outlets=[self.champion], **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Promote and return what serves now."""
        from include.retraining.decisions.record import Outcome
        from include.retraining.runs.manifest import current_plan, read_manifest
        from include.retraining.steps.decide import deploy, is_promoted_by
        from include.retraining.steps.plan import changed_since
        from include.retraining.store.layout import promotion_key, version_folder

        die_with_parent()
        with fail_permanent_errors():
            assert_own_bundle(context)
            store, run = open_store(), run_reference(context)
            manifest = read_manifest(store, current_plan(store, run.paths))
            record = deploy(
                store,
                run,
                actor=run.cause.user or run.dag_id,
                changed=changed_since(manifest),
            )
        self.log.info("%s: %s", record.outcome, record.reason)
        tell(store, record, context)
        if record.outcome is Outcome.APPROVAL_REJECTED:
            raise AirflowFailException(record.reason)
        # Of a run that had promoted before it was cleared, consumers may never have heard: who is
        # told twice sees the generation that it has.
        is_told_again = record.outcome is Outcome.NO_CHANGE and is_promoted_by(store, run)
        if record.serving is None or not (record.outcome is Outcome.PROMOTED or is_told_again):
            raise AirflowSkipException(record.reason)
        version = f"{store.uri}/{version_folder(record.model, record.serving.version)}"
        entry = f"{store.uri}/{promotion_key(record.model, record.serving.generation)}"
        self.name_lineage(taken=[version], made=[entry.rpartition("/")[0]])
        event: dict[str, Any] = {
            "version": record.serving.version,
            "generation": record.serving.generation,
            "run": current_plan(store, run.paths).uri(store.uri),
        }
        context["outlet_events"][self.champion].extra.update(event)
        return event
