"""The task of a heavy step: the operator of the backend that the model names for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from include.orchestration.backends.local.operator import LocalJobOperator
from include.retraining.config.compute import AnyCompute, ComputeBySteps
from include.retraining.config.step_compute import LocalCompute

if TYPE_CHECKING:
    from include.orchestration.backends.remote_operator import RemoteJobOperator
    from include.retraining.config.step_names import JobStep

TASKS: dict[JobStep, tuple[str, str]] = {
    "validate": ("validate_data", "Check the data"),
    "train": ("train_model", "Train a challenger"),
    "evaluate": ("evaluate_model", "Score challenger and champion"),
    "card": ("publish_card", "Publish the model card"),
    "grade": ("grade_champion", "Grade the champion"),
    "score": ("score_input", "Score the input"),
}
"""Each step's task: its id, and its name in the UI."""


def job_task(
    step: JobStep, compute: ComputeBySteps, **kwargs: Any
) -> LocalJobOperator | RemoteJobOperator:
    """Return the task that runs one step on the model's backend.

    Args:
        step: `validate`, `train`, `evaluate`, `card` or `grade`.
        compute: the model's.
        kwargs: of any operator; the same for each backend.
    """
    own, together = compute.of(step), compute.together(step)
    timeout_seconds = compute.timeout_seconds(together)
    shared = own.model_copy(update={"timeout_seconds": timeout_seconds})
    return _task(step, together, shared, **kwargs)


def score_task(compute: AnyCompute, **kwargs: Any) -> LocalJobOperator | RemoteJobOperator:
    """Return the task that scores on the backend that the model names for that.

    Args:
        compute: of the model's scoring.
        kwargs: of any operator; the same for each backend.
    """
    return _task("score", ("score",), compute, **kwargs)


def _task(
    step: JobStep, together: Sequence[JobStep], compute: AnyCompute, **kwargs: Any
) -> LocalJobOperator | RemoteJobOperator:
    """Return the task of one step, whose job may run those that follow too."""
    kwargs["task_id"], kwargs["task_display_name"] = TASKS[step]
    if isinstance(compute, LocalCompute):
        queue, executor = compute.queue, compute.executor
        return LocalJobOperator(
            step=step, compute=compute, queue=queue, executor=executor, **kwargs
        )
    return remote_operator(compute.backend)(step=step, together=together, compute=compute, **kwargs)


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
