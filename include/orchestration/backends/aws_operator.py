"""The operator of a step whose job runs on AWS: what AWS Batch and AWS Lambda have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink, Context
from airflow.sdk.exceptions import TaskDeferralTimeout

from include.orchestration.backends.remote_operator import RemoteJobOperator
from include.orchestration.backends.remote_step import RemoteStep, open_step
from include.orchestration.runtime.errors import fail_permanent_errors
from include.retraining.exceptions import JobKilled

if TYPE_CHECKING:
    from include.retraining.runs.claims import JobClaim

# Airflow's own limit on a deferred task is only the net below AWS's limits and ours.
NET_SECONDS = 600.0
STOP_REASON = "the task's process was asked to end"


class ConsoleLink(BaseOperatorLink):
    """A page of AWS's console that the operator put down as an XCom."""

    xcom_key: str

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 Airflow's signature
        """Return what the operator put down, empty until then."""
        from airflow.sdk.bases.xcom import BaseXCom

        return str(BaseXCom.get_value(key=self.xcom_key, ti_key=ti_key) or "")


class AwsJobOperator(RemoteJobOperator):
    """Runs a step in a job on AWS, and ends the job when nobody watched it."""

    @abstractmethod
    def end_unwatched(self, step: RemoteStep, claim: JobClaim, reason: str) -> None:
        """End the job of a claim, if there is one."""

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> dict[str, Any] | None:
        """End the job when the wait was longer than all its limits: no triggerer ran."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            with fail_permanent_errors():
                step = open_step(context, self.step)
                claim = step.job_claims.newest(self.step)
                if step.is_done() or claim is None:
                    return self.returned(context)
                error = JobKilled("no triggerer watched the job within its time limits")
                self.end_unwatched(step, claim, str(error))
                raise step.failed(claim, error) from None
