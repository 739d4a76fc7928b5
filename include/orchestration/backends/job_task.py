"""The task of a heavy step: the operator of the backend that the model names for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.orchestration.backends.batch.operator import BatchJobOperator
from include.orchestration.backends.kubernetes.operator import KubernetesJobOperator
from include.orchestration.backends.local.operator import LocalJobOperator
from include.retraining.config.compute import BatchCompute, ComputeBySteps, KubernetesCompute

if TYPE_CHECKING:
    from include.retraining.config.step_names import JobStep


def job_task(
    step: JobStep, compute: ComputeBySteps, **kwargs: Any
) -> LocalJobOperator | BatchJobOperator | KubernetesJobOperator:
    """Return the task that runs one step where the model wants it.

    Args:
        step: `validate`, `train`, `evaluate` or `card`.
        compute: the model's.
        kwargs: of any operator; the same whatever the backend.
    """
    ours = compute.of(step)
    if isinstance(ours, BatchCompute | KubernetesCompute):
        together = compute.together(step)
        shared = ours.model_copy(update={"timeout_seconds": compute.timeout_seconds(together)})
        if isinstance(shared, BatchCompute):
            return BatchJobOperator(step=step, together=together, compute=shared, **kwargs)
        return KubernetesJobOperator(step=step, together=together, compute=shared, **kwargs)
    return LocalJobOperator(
        step=step, compute=ours, queue=ours.queue, executor=ours.executor, **kwargs
    )
