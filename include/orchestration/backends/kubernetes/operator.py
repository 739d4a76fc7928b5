"""Run one heavy step, or several, as a pod on Kubernetes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from include.orchestration.backends.kubernetes.connection import check_cluster
from include.orchestration.backends.remote_operator import RemoteJobOperator
from include.orchestration.backends.remote_step import RemoteStep, job_command, open_step
from include.orchestration.backends.thread_limits import thread_limits
from include.orchestration.runtime.errors import fail_permanent_errors
from include.retraining.config.kubernetes_compute import KubernetesCompute
from include.retraining.exceptions import InfrastructureError, JobKilled, RetrainingError

if TYPE_CHECKING:
    from kubernetes.client.models import V1Pod  # type: ignore[import-untyped]

    from include.orchestration.backends.kubernetes.pod import JobPodOperator
    from include.retraining.runs.claims import JobClaim, JobState

GONE_SECONDS = 60
"""How long to wait for a pod that is being deleted, before it is taken for one that runs."""


class KubernetesJobOperator(RemoteJobOperator):
    """Runs a step in a pod on Kubernetes.

    The provider's operator makes the pod, follows its log and tidies it away; it is imported when
    a task executes.
    """

    compute: KubernetesCompute

    def __init__(self, **kwargs: Any) -> None:
        """Run one step; the arguments are those of `RemoteJobOperator`."""
        super().__init__(**kwargs)
        self._pod: JobPodOperator | None = None

    def trigger_reentry(self, context: Context, event: dict[str, Any]) -> None:
        """Go on when the pod has ended or the step's result is there.

        The provider's operator defers to this name.
        """
        with fail_permanent_errors(), self.waiting_for_other_training():
            step = open_step(context, self.step)
            claim = next(one for one in step.job_claims.claims() if one.name == event["name"])
            pod = self._pod_of(step, claim)
            if event["status"] == "result":
                pod.show_log(event["last_log_time"])
                if step.is_done():
                    return
                # What lies there is no evidence; the job replaces it, or does not, before it ends.
                pod.result_uri = None
                self._follow(step, claim, lambda: pod.execute_async(context))
            else:
                self._follow(step, claim, lambda: pod.trigger_reentry(context, event))

    def on_kill(self) -> None:
        """Delete the pod; a task that waits in the triggerer has no process to be killed here."""
        self._is_killed = True
        if self._pod is not None:
            self._pod.on_kill()

    def check_platform(self) -> None:
        """Refuse to continue when no connection names the cluster."""
        check_cluster(self.compute)

    def wait_for_job(
        self, context: Context, step: RemoteStep, claim: JobClaim, *, is_new: bool
    ) -> None:
        """Make the pod or adopt the one that is there, and wait for it."""
        if self._is_killed:  # during the search for the pod: none is created any more
            raise step.failed(claim, JobKilled("the task was killed"))
        self.log.info("%s the pod %s", "starting" if is_new else "adopting", claim.name)
        pod = self._pod_of(step, claim, is_new=is_new)
        self._follow(step, claim, lambda: pod.execute_async(context))

    def find_job(self, step: RemoteStep, claim: JobClaim) -> V1Pod | None:
        """Return the pod of a claim; one that is being deleted is waited for, `GONE_SECONDS`."""
        pod = self._pod_of(step, claim)
        deadline = time.monotonic() + GONE_SECONDS
        with _speaking_of(KubernetesCompute.model_validate(claim.compute)):
            shown = pod.read()
            while shown and shown.metadata.deletion_timestamp and time.monotonic() < deadline:
                self.log.info("the pod %s is being deleted", claim.name)
                time.sleep(1)
                shown = pod.read()
        return shown

    def state_of(self, job: V1Pod) -> JobState:
        """Return the state of a pod by the phase that the cluster reports."""
        from include.orchestration.backends.kubernetes.failure import phase_of
        from include.retraining.runs.claims import JobState

        ended = {"Succeeded": JobState.SUCCEEDED, "Failed": JobState.FAILED}
        return ended.get(phase_of(job), JobState.ACTIVE)

    def platform_reason(self, claim: JobClaim, job: V1Pod) -> RetrainingError | None:
        """Return the cluster's reason for a failed pod; None when its container ended by itself."""
        from include.orchestration.backends.kubernetes.failure import why_failed

        return why_failed(job, KubernetesCompute.model_validate(claim.compute))

    def last_words(self, claim: JobClaim, job: V1Pod) -> tuple[int, str]:  # noqa: ARG002 the pod has both
        """Return the exit code of a pod's container, and the last line that the cluster keeps."""
        from include.orchestration.backends.kubernetes.failure import ended_container

        ended = ended_container(job)
        lines = (getattr(ended, "message", None) or "").strip().splitlines()
        return getattr(ended, "exit_code", 1), lines[-1] if lines else ""

    def _pod_of(self, step: RemoteStep, claim: JobClaim, *, is_new: bool = False) -> JobPodOperator:
        """Return the provider's operator for the pod of a claim."""
        from include.orchestration.backends.kubernetes.pod import JobPodOperator

        compute = KubernetesCompute.model_validate(claim.compute)
        self._pod = JobPodOperator(
            task_id=self.task_id,
            claim=claim,
            arguments=job_command(step, claim),
            environment={"PYTHONUNBUFFERED": "1", **thread_limits(compute)},
            is_new=is_new,
            # The last step's result comes with the end of the pod.
            result_uri=step.result_uri if claim.steps[-1] != self.step else None,
        )
        return self._pod

    def _follow(self, step: RemoteStep, claim: JobClaim, wait: Callable[[], None]) -> None:
        """Resume the provider's operator, and judge its outcome.

        Raises:
            TaskDeferred: when there is still something to wait for.
            RetrainingError: when the step is not done.
        """
        from include.orchestration.backends.kubernetes.pod import PROVIDER_ERRORS

        try:
            wait()
        except (JobKilled, *PROVIDER_ERRORS) as error:
            if self._is_killed:
                raise step.failed(claim, JobKilled("the task was killed")) from error
            if step.is_done():
                # Of a pod that failed later, in another step, or that is gone already.
                self.log.info("%s: done and verified, though: %s", self.step, _first_line(error))
                return
            raise self._why_not_done(step, claim, error) from error
        step.check_evidence(claim)

    def _why_not_done(self, step: RemoteStep, claim: JobClaim, error: Exception) -> RetrainingError:
        """Return why a job did not do its step; a pod that did not start is deleted."""
        from include.orchestration.backends.kubernetes.failure import phase_of, why_not_started

        compute = KubernetesCompute.model_validate(claim.compute)
        pod = self._pod_of(step, claim)
        with _speaking_of(compute):
            shown = pod.read()
            if shown is None:
                return step.failed(claim, _why_no_pod(claim, error))
            if phase_of(shown) == "Pending":
                reason = why_not_started(
                    shown, pod.warnings(), compute, is_hopeless=pod.is_hopeless(shown)
                )
                pod.delete()
                return step.failed(claim, reason)
            if phase_of(shown) == "Failed":
                return self.failed(step, claim, shown)
        # It still runs: the next try adopts it.
        return InfrastructureError(f"lost sight of the pod {claim.name}: {_first_line(error)}")

    def clean_up(self, step: RemoteStep) -> None:
        """Delete the pod whose last step this was, when its end was not waited for."""
        from include.orchestration.backends.kubernetes.failure import phase_of
        from include.orchestration.backends.kubernetes.pod import PROVIDER_ERRORS

        claim = step.job_claims.newest(self.step)
        if claim is None or claim.steps[-1] != self.step:
            return
        pod = self._pod_of(step, claim)
        try:
            shown = pod.read()
            # One that still runs has nothing left to do: the last result is there.
            if shown is not None and phase_of(shown) in {"Running", "Succeeded"}:
                pod.delete()
        except PROVIDER_ERRORS as error:
            self.log.warning("the pod %s stays: %s", claim.name, _first_line(error))


@contextmanager
def _speaking_of(compute: KubernetesCompute) -> Iterator[None]:
    """Add the cluster's name to an error when it refuses or does not answer."""
    from include.orchestration.backends.kubernetes.pod import PROVIDER_ERRORS

    try:
        yield
    except PROVIDER_ERRORS as error:
        raise InfrastructureError(
            f"Kubernetes (connection {compute.connection}, namespace {compute.namespace}): "
            f"{_first_line(error)}"
        ) from error


def _why_no_pod(claim: JobClaim, error: Exception) -> RetrainingError:
    """Return why there is no pod: refused by the cluster, or gone without a trace."""
    from include.retraining.exceptions import StepFailed

    status = getattr(error, "status", None)
    if status in {None, 404}:
        return JobKilled(
            f"the pod {claim.name} is gone, and the job left neither a result nor a failure: it "
            "was deleted, or its node was lost"
        )
    message = _first_line(error)
    is_full = status == 403 and "exceeded quota" in message
    return StepFailed(
        f"Kubernetes refused the pod: {message}",
        kind="no_capacity" if is_full else "refused",
        # 4xx: the request itself, or our rights; the rest may pass.
        is_permanent=not is_full and 400 <= int(status) < 500 and status != 429,
    )


def _first_line(error: Exception) -> str:
    """Return an error's message on one line: for a refusal, the cluster's own sentence."""
    body = getattr(error, "body", None)
    try:
        message = json.loads(body)["message"] if body else None
    except (TypeError, ValueError, KeyError):
        message = None
    text = str(message or error).strip() or type(error).__name__
    return text.splitlines()[0][:500]
