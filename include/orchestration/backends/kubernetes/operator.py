"""Run one heavy step, or several, as a pod on Kubernetes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from include.orchestration.backends.kubernetes.connection import check_cluster
from include.orchestration.backends.remote import RemoteStep, job_command, open_step
from include.orchestration.backends.thread_limits import thread_limits
from include.orchestration.backends.training_elsewhere import WaitsForOtherTraining
from include.orchestration.runtime.errors import fail_permanent_errors
from include.retraining.config.compute import KubernetesCompute, resolve
from include.retraining.exceptions import InfrastructureError, JobKilled, RetrainingError

if TYPE_CHECKING:
    from include.orchestration.backends.kubernetes.pod import JobPodOperator
    from include.retraining.config.step_names import JobStep
    from include.retraining.runs.claims import JobClaim, JobState

GONE_SECONDS = 60
"""How long to wait for a pod that is being deleted, before it is taken for one that runs."""


class KubernetesJobOperator(WaitsForOtherTraining):
    """Runs a step in a pod of a claim, and waits for it without a worker slot.

    The provider's operator makes the pod, follows its log and tidies it away; it is imported when
    a task executes. What a pod says of itself decides nothing: a step is done when its result is in
    the store and verifies, whoever made it, and then no pod is asked for or waited for.
    """

    def __init__(
        self,
        *,
        step: JobStep,
        together: Sequence[JobStep] | None = None,
        compute: KubernetesCompute,
        **kwargs: Any,
    ) -> None:
        """Run one step.

        Args:
            step: `validate`, `train`, `evaluate` or `card`.
            together: the steps that a pod started by this task runs, `step` first; only it when
                not given.
            compute: where the pod runs and what it may use; the timeout is for all its steps.
            kwargs: of any operator.
        """
        super().__init__(**kwargs)
        self.step = step
        self.together = tuple(together or (step,))
        self.compute = compute
        self._pod: JobPodOperator | None = None
        self._is_killed = False

    def begin(self, context: Context) -> None:
        """Make the pod or adopt the one that is there, and wait for it."""
        with fail_permanent_errors(), self.waiting_for_other_training():
            step = open_step(context, self.step)
            if step.is_done():
                self.log.info("%s: already done and verified", self.step)
                self._tidy(step)
                return
            self.wait_for_other_training(step.store, step.manifest)
            check_cluster(self.compute)
            compute = resolve(self.compute, step.manifest.delivery.total_bytes)
            claim, is_new = step.job_claims.next_job(
                self.step,
                self.together,
                clear=step.clear,
                compute=compute.model_dump(mode="json"),
                job_state=lambda claim: self._job_state(step, claim),
            )
            if self._is_killed:  # while the pod was looked for: none is made any more
                raise step.failed(claim, JobKilled("the task was killed"))
            self.log.info("%s the pod %s", "starting" if is_new else "adopting", claim.name)
            pod = self._pod_of(step, claim, is_new=is_new)
            self._follow(step, claim, lambda: pod.execute_async(context))

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
        """Let the provider's operator go on, and judge what it ends with.

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
            raise self._why(step, claim, error) from error
        step.check_evidence(claim)

    def _why(self, step: RemoteStep, claim: JobClaim, error: Exception) -> RetrainingError:
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
                return self._failed(step, claim, shown)
        # It goes on: the next try adopts it.
        return InfrastructureError(f"lost sight of the pod {claim.name}: {_first_line(error)}")

    def _failed(self, step: RemoteStep, claim: JobClaim, pod: Any) -> RetrainingError:
        """Return why a pod failed: in the job's own words, else in the cluster's."""
        from include.orchestration.backends.kubernetes.failure import why_failed

        reason = why_failed(pod, KubernetesCompute.model_validate(claim.compute))
        return step.failed(claim, reason or self._own_words(step, claim, pod))

    def _own_words(self, step: RemoteStep, claim: JobClaim, pod: Any) -> RetrainingError:
        """Return what a job said last when its container ended by itself."""
        from include.orchestration.backends.failure import failure_reason
        from include.orchestration.backends.kubernetes.failure import ended_container

        ended = ended_container(pod)
        lines = (getattr(ended, "message", None) or "").strip().splitlines()
        return failure_reason(
            step.store,
            step.paths,
            self.step,
            claim.attempt_id,
            exit_code=getattr(ended, "exit_code", 1),
            last_line=lines[-1] if lines else "",
        )

    def _job_state(self, step: RemoteStep, claim: JobClaim) -> JobState:
        """Return what the cluster says of a claimed pod.

        Raises:
            RetrainingError: for a pod that failed for good while nobody looked.
        """
        from include.orchestration.backends.kubernetes.failure import phase_of
        from include.retraining.runs.claims import JobState

        pod = self._pod_of(step, claim)
        deadline = time.monotonic() + GONE_SECONDS
        with _speaking_of(KubernetesCompute.model_validate(claim.compute)):
            shown = pod.read()
            while shown and shown.metadata.deletion_timestamp and time.monotonic() < deadline:
                self.log.info("the pod %s is being deleted", claim.name)
                time.sleep(1)
                shown = pod.read()
        if shown is None:
            return JobState.GONE
        if phase_of(shown) == "Failed" and step.job_claims.failure(claim) is None:
            reason = self._failed(step, claim, shown)
            if reason.is_permanent:
                raise reason
        ended = {"Succeeded": JobState.SUCCEEDED, "Failed": JobState.FAILED}
        return ended.get(phase_of(shown), JobState.ACTIVE)

    def _tidy(self, step: RemoteStep) -> None:
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
    """Say of a cluster that refuses or does not answer which one it is."""
    from include.orchestration.backends.kubernetes.pod import PROVIDER_ERRORS

    try:
        yield
    except PROVIDER_ERRORS as error:
        raise InfrastructureError(
            f"Kubernetes (connection {compute.connection}, namespace {compute.namespace}): "
            f"{_first_line(error)}"
        ) from error


def _why_no_pod(claim: JobClaim, error: Exception) -> RetrainingError:
    """Return why there is no pod: refused by the cluster, or gone without a word."""
    from include.retraining.exceptions import StepFailed

    status = getattr(error, "status", None)
    if status in {None, 404}:
        return JobKilled(
            f"the pod {claim.name} is gone, and the job left neither a result nor a failure: it "
            "was deleted, or its node was lost"
        )
    told = _first_line(error)
    is_full = status == 403 and "exceeded quota" in told
    return StepFailed(
        f"Kubernetes refused the pod: {told}",
        kind="no_capacity" if is_full else "refused",
        # 4xx: the request itself, or our rights; the rest may pass.
        is_permanent=not is_full and 400 <= int(status) < 500 and status != 429,
    )


def _first_line(error: Exception) -> str:
    """Return what an error says, in one line: of a refusal, the cluster's own sentence."""
    body = getattr(error, "body", None)
    try:
        told = json.loads(body)["message"] if body else None
    except (TypeError, ValueError, KeyError):
        told = None
    text = str(told or error).strip() or type(error).__name__
    return text.splitlines()[0][:500]
