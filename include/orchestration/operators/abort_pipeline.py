"""Record that the challenger is refused, and say so loudly."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from include.orchestration.notifications.send import tell
from include.orchestration.runtime.bundle import assert_own_bundle
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.run_reference import run_reference
from include.orchestration.runtime.store import open_store


class AbortPipelineOperator(BaseOperator):
    """Writes the decision record and fails the run, so that a refused model is red in the grid."""

    def __init__(self, *, is_failure: bool, **kwargs: Any) -> None:
        """End runs whose challenger is refused.

        Args:
            is_failure: whether such a run ends red; a dry run never does.
            kwargs: of any operator.
        """
        super().__init__(**kwargs)
        self.is_failure = is_failure

    def execute(self, context: Context) -> str:
        """Close the run; its reason is the first line of the log."""
        from include.retraining.decisions.record import Outcome
        from include.retraining.steps.decide import abort

        with fail_permanent_errors():
            assert_own_bundle(context)
            store = open_store()
            record = abort(store, run_reference(context))
        is_failure = self.is_failure and record.outcome is not Outcome.DRY_RUN
        if is_failure:
            self.log.error("%s", record.reason)
        else:
            self.log.info("%s", record.reason)
        tell(store, record, context)
        if is_failure:
            raise AirflowFailException(record.reason)
        return record.reason
