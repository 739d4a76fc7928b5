"""The task of a heavy step: the operator of the backend that the model names for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.orchestration.backends.local.operator import LocalJobOperator
from include.retraining.config.compute import ComputeBySteps
from include.retraining.config.step_compute import LocalCompute

if TYPE_CHECKING:
    from include.orchestration.backends.remote_operator import RemoteJobOperator
    from include.retraining.config.step_names import JobStep

TASKS: dict[JobStep, tuple[str, str]] = {
    "validate": ("validate_data", "Check the data"),
    "train": ("train_model", "Train a challenger"),
    "evaluate": ("evaluate_model", "Score challenger and champion"),
    "card": ("publish_card", "Publish the model card"),
}
"""Each step's task: its id, and its name in the UI."""


def job_task(
    step: JobStep, compute: ComputeBySteps, **kwargs: Any
) -> LocalJobOperator | RemoteJobOperator:
    """Return the task that runs one step on the model's backend.

    Args:
        step: `validate`, `train`, `evaluate` or `card`.
        compute: the model's.
        kwargs: of any operator; the same for each backend.
    """
    kwargs["task_id"], kwargs["task_display_name"] = TASKS[step]
    own = compute.of(step)
    if isinstance(own, LocalCompute):
        return LocalJobOperator(
            step=step, compute=own, queue=own.queue, executor=own.executor, **kwargs
        )
    together = compute.together(step)
    timeout_seconds = compute.timeout_seconds(together)
    shared = own.model_copy(update={"timeout_seconds": timeout_seconds})
    return remote_operator(own.backend)(step=step, together=together, compute=shared, **kwargs)


def remote_operator(backend: str) -> type[RemoteJobOperator]:
    """Return the operator of `batch`, `kubernetes` or `lambda`.

    Imported on demand: every task parses the DAG file again, and most models run locally.
    """
    if backend == "batch":
        from include.orchestration.backends.batch.operator import BatchJobOperator

        return BatchJobOperator
    if backend == "kubernetes":
        from include.orchestration.backends.kubernetes.operator import KubernetesJobOperator

        return KubernetesJobOperator
    from include.orchestration.backends.aws_lambda.operator import LambdaJobOperator

    return LambdaJobOperator
