"""Where each heavy step runs and what it may use: the section `compute` of a model's YAML.

Light on purpose: a DAG file imports this at every parse. What a platform would refuse in the middle
of the night is refused here, when the configuration is read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import Discriminator, Tag, model_validator

from include.retraining.config.base import Section
from include.retraining.config.batch_compute import BatchCompute
from include.retraining.config.fargate import fargate_size
from include.retraining.config.kubernetes_compute import KubernetesCompute
from include.retraining.config.lambda_compute import LAMBDA_MAX_SECONDS, LambdaCompute
from include.retraining.config.sizes import (
    BYTES_PER_GIB,
    cpus_for,
    mib_for,
)
from include.retraining.config.step_compute import (
    MAX_SECONDS,
    LocalCompute,
    StepCompute,
)
from include.retraining.config.step_names import STEPS, JobStep

BACKENDS = ("local", "batch", "kubernetes", "lambda")


def _backend(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("backend", "local"))
    return str(getattr(value, "backend", "local"))


def backend_problem(value: Any) -> str:
    """Return what is wrong with a section that names an unknown backend."""
    named = _backend(value)
    near = get_close_matches(named, BACKENDS, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{named!r} is not a backend{hint}; allowed: {', '.join(BACKENDS)}"


Compute = Annotated[
    Annotated[LocalCompute, Tag("local")]
    | Annotated[BatchCompute, Tag("batch")]
    | Annotated[KubernetesCompute, Tag("kubernetes")]
    | Annotated[LambdaCompute, Tag("lambda")],
    Discriminator(
        _backend,
        custom_error_type="unknown_backend",
        custom_error_message="is not a known backend",
    ),
]
RemoteCompute = BatchCompute | KubernetesCompute | LambdaCompute
"""Of a job that runs outside of Airflow's workers."""
AnyCompute = LocalCompute | RemoteCompute
ComputeT = TypeVar("ComputeT", bound=StepCompute)


class ComputeBySteps(Section):
    """Compute for each heavy step; card and grade are made where the evaluation runs."""

    validate_data: Compute = LocalCompute()
    """Where the data are checked."""
    train_model: Compute = LocalCompute()
    """Where the challenger is trained."""
    evaluate_model: Compute = LocalCompute()
    """Where challenger and champion are scored."""
    one_job: bool = False
    """Let steps that follow each other, with the same backend, image and resources, run as one job:
    a container is started once. Each task still waits for its own step and checks its result."""

    @model_validator(mode="after")
    def _one_job_is_possible(self) -> ComputeBySteps:
        if self.one_job and not any(len(self.together(step)) > 1 for step in STEPS):
            raise ValueError(
                "one_job: no two steps that follow each other name the same backend (batch, "
                "kubernetes or lambda), image and resources"
            )
        for steps in map(self.together, STEPS):
            seconds = self.timeout_seconds(steps)
            if isinstance(self.of(steps[0]), LambdaCompute) and seconds > LAMBDA_MAX_SECONDS:
                raise ValueError(
                    f"one_job: {' and '.join(steps)} together may take {seconds:g} s "
                    f"(timeout_seconds), a function on AWS Lambda at most {LAMBDA_MAX_SECONDS} s: "
                    "lower them, or leave one_job out"
                )
        return self

    def of(self, step: JobStep) -> AnyCompute:
        """Return the compute of a step; `card` and `grade` have that of the evaluation."""
        if step == "validate":
            return self.validate_data
        return self.train_model if step == "train" else self.evaluate_model

    def together(self, step: JobStep) -> tuple[JobStep, ...]:
        """Return the steps that a job started for ``step`` runs: it, and those that may follow."""
        compute = self.of(step)
        if not self.one_job or step not in STEPS or isinstance(compute, LocalCompute):
            return (step,)
        following = STEPS[STEPS.index(step) :]
        steps: list[JobStep] = [step]
        for other in following[1:]:
            if _without_timeout(self.of(other)) != _without_timeout(compute):
                break
            steps.append(other)
        return tuple(steps)

    def timeout_seconds(self, steps: Sequence[JobStep]) -> float:
        """Return how long a job may run that does ``steps``."""
        return min(MAX_SECONDS, sum(self.of(step).timeout_seconds for step in steps))

    def resolved(self, total_bytes: int) -> dict[str, Any]:
        """Return each step's compute for a delivery of that size, as a manifest holds it."""
        return {step: resolve(self.of(step), total_bytes).model_dump(mode="json") for step in STEPS}


def resolve(compute: ComputeT, total_bytes: int) -> ComputeT:
    """Return a step's compute with the CPUs and the memory that a delivery of that size takes.

    Args:
        compute: of the step.
        total_bytes: of the delivery's files.
    """
    gib = total_bytes / BYTES_PER_GIB
    cpu, memory = compute.cpu, compute.memory
    number = None if cpu is None else cpus_for(cpu, gib)
    mib = None if memory is None else mib_for(memory, gib)
    if isinstance(compute, LambdaCompute):
        number = compute.cpu_of_memory
    elif isinstance(compute, BatchCompute) and compute.platform == "fargate":
        number, mib = fargate_size(number or 0, mib or 0)
    elif number is not None and not isinstance(compute, KubernetesCompute):
        number = float(math.ceil(number))
    text = None if mib is None else f"{mib}MiB"
    return compute.model_copy(update={"cpu": number, "memory": text})


def _without_timeout(compute: StepCompute) -> dict[str, Any]:
    return compute.model_dump(exclude={"timeout_seconds"})
