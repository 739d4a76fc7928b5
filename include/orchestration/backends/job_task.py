"""The task of a heavy step: the operator of the backend that the model names for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.orchestration.backends.batch.operator import BatchJobOperator
from include.orchestration.backends.kubernetes.operator import KubernetesJobOperator
from include.orchestration.backends.local.operator import LocalJobOperator
from include.orchestration.backends.remote_operator import RemoteJobOperator
from include.retraining.config.batch_compute import BatchCompute
from include.retraining.config.compute import ComputeBySteps
from include.retraining.config.step_compute import LocalCompute

if TYPE_CHECKING:
    from include.retraining.config.step_names import JobStep


def job_task(
    step: JobStep, compute: ComputeBySteps, **kwargs: Any
) -> LocalJobOperator | RemoteJobOperator:
    """Return the task that runs one step on the model's backend.

    Args:
        step: `validate`, `train`, `evaluate` or `card`.
        compute: the model's.
        kwargs: of any operator; the same for each backend.
    """
    own = compute.of(step)
    if isinstance(own, LocalCompute):
        return LocalJobOperator(
            step=step, compute=own, queue=own.queue, executor=own.executor, **kwargs
        )
    together = compute.together(step)
    timeout_seconds = compute.timeout_seconds(together)
    shared = own.model_copy(update={"timeout_seconds": timeout_seconds})
    operator = BatchJobOperator if isinstance(shared, BatchCompute) else KubernetesJobOperator
    return operator(step=step, together=together, compute=shared, **kwargs)
