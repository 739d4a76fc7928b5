"""Why a pod failed or never started, read from its status and its events.

Without the provider: pure functions of a pod and its events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from include.orchestration.backends.failure import one_line
from include.retraining.exceptions import JobKilled, RetrainingError, StepFailed

if TYPE_CHECKING:
    from kubernetes.client.models import (  # type: ignore[import-untyped]
        CoreV1Event,
        V1ContainerStateTerminated,
        V1ContainerStateWaiting,
        V1Pod,
        V1PodCondition,
    )

    from include.retraining.config.kubernetes_compute import KubernetesCompute

# A pod's own reasons that say nothing about its work: its node was lost, drained or short of room.
# https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
HOST_REASONS = frozenset({
    "Evicted",
    "NodeAffinity",
    "NodeLost",
    "NodeShutdown",
    "Preempting",
    "Shutdown",
    "Terminated",
    "UnexpectedAdmissionError",
})
# Of a waiting container, and nothing that time mends.
WRONG_REASONS = frozenset({
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "InvalidImageName",
})
PULL_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff"})


def phase_of(pod: V1Pod) -> str:
    """Return a pod's phase; one that has none yet is Pending."""
    return str((pod.status and pod.status.phase) or "Pending")


def ended_container(pod: V1Pod) -> V1ContainerStateTerminated | None:
    """Return how a pod's container ended, None when it did not start or is running."""
    for status in (pod.status and pod.status.container_statuses) or []:
        if status.state and status.state.terminated:
            return status.state.terminated
    return None


def why_failed(pod: V1Pod, compute: KubernetesCompute) -> RetrainingError | None:
    """Return the cluster's reason for a failed pod; None when its container ended by itself."""
    reason, message = pod.status.reason, one_line(pod.status.message)
    if reason == "DeadlineExceeded":
        return StepFailed(
            f"took longer than {compute.timeout_seconds:g} s (timeout_seconds)",
            kind="timeout",
            is_permanent=True,
        )
    disrupted = next((c for c in _conditions(pod) if c.type == "DisruptionTarget"), None)
    if disrupted is not None:
        reason, message = reason or disrupted.reason, message or one_line(disrupted.message)
    if disrupted is not None or reason in HOST_REASONS:
        return JobKilled(f"the pod was ended by its node ({reason}): {message or 'no message'}")
    ended = ended_container(pod)
    if ended is None:
        return JobKilled(f"the pod failed before it started: {message or reason or 'no reason'}")
    if ended.reason == "OOMKilled":
        limit = f", at most {compute.memory_limit}" if compute.memory_limit else ""
        return StepFailed(
            f"out of memory: the pod was killed; it asked for {compute.memory}{limit}: give the "
            "step more (compute.….memory)",
            kind="out_of_memory",
            is_permanent=True,
        )
    return None


def why_not_started(
    pod: V1Pod, events: Sequence[CoreV1Event], compute: KubernetesCompute, *, is_hopeless: bool
) -> RetrainingError:
    """Return why a pod is still Pending.

    Args:
        pod: as the cluster shows it.
        events: the cluster's warnings about it, oldest first.
        compute: what it asked for.
        is_hopeless: whether the wait was given up before its time.
    """
    waited = f"within {compute.startup_timeout_seconds:g} s"
    reason = one_line(events[-1].message) if events else "the cluster gives no reason"
    waiting = _waiting(pod)
    if waiting is not None and waiting.reason in PULL_REASONS | WRONG_REASONS:
        is_pull = waiting.reason in PULL_REASONS or "Image" in waiting.reason
        what = f"the image {compute.image} cannot be pulled" if is_pull else "the pod cannot start"
        return StepFailed(
            f"{what} ({waiting.reason}): {one_line(waiting.message) or reason}",
            kind="image" if is_pull else "config",
            is_permanent=is_hopeless or waiting.reason in WRONG_REASONS,
        )
    scheduled = next((c for c in _conditions(pod) if c.type == "PodScheduled"), None)
    if scheduled is None or scheduled.status != "True":
        reason = one_line(scheduled and scheduled.message) or reason
        return StepFailed(
            f"no capacity: no node took the pod {waited}: {reason}",
            kind="no_capacity",
            is_permanent=False,
        )
    return StepFailed(
        f"the pod did not start {waited}: {reason}", kind="not_started", is_permanent=False
    )


def _waiting(pod: V1Pod) -> V1ContainerStateWaiting | None:
    for status in pod.status.container_statuses or []:
        if status.state and status.state.waiting:
            return status.state.waiting
    return None


def _conditions(pod: V1Pod) -> list[V1PodCondition]:
    return list(pod.status.conditions or [])
