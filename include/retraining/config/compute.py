"""Where each heavy step runs and what it may use: the section `compute` of a model's YAML.

Light on purpose: a DAG file imports this at every parse. What a platform would refuse in the middle
of the night is refused here, when the configuration is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from include.retraining.config.base import Name, Section, Text
from include.retraining.config.fargate import FARGATE_SIZES, fargate_size
from include.retraining.config.sizes import (
    BYTES_PER_GIB,
    Cpu,
    FixedCpu,
    FixedMemory,
    Memory,
    cpus_for,
    fixed_cpus,
    fixed_mib,
    max_cpus,
    max_mib,
    mib_for,
    min_cpus,
    min_mib,
    whole_cpus,
)
from include.retraining.config.step_names import STEPS, JobStep

# A job on Fargate may be ended after 14 days despite a longer timeout; credentials of a role and
# images do not outlive that elsewhere either. AWS Batch takes no timeout under a minute.
# https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html
MAX_SECONDS = 14 * 86_400
BATCH_MIN_SECONDS = 60
# Of AWS Batch: the least memory of a container, and how many tags of 50 ours leave to a model.
BATCH_MIN_MIB = 4
MAX_TAGS = 40

BACKENDS = ("local", "batch", "kubernetes")
_DIGEST = r"[a-z0-9][A-Za-z0-9._/:-]*@sha256:[0-9a-f]{64}"
_TAGGED = r"[a-z0-9][A-Za-z0-9._/:-]*"
_QUEUE = r"^(arn:aws[a-z-]*:batch:[a-z0-9:-]+/)?[A-Za-z0-9][A-Za-z0-9_-]{0,127}$"
_LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_SUBDOMAIN = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
_LABEL_KEY = (
    r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
)
_LABEL_VALUE = r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$"
_TAG_TEXT = r"^[A-Za-z0-9 +=._:/@-]{1,128}$"
_WORKER_QUEUE = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$"
_EXECUTOR = r"^[A-Za-z_][A-Za-z0-9_.-]{0,199}$"


class StepCompute(Section):
    """What a step may use, on any backend."""

    cpu: Cpu | None = None
    """CPUs, or how they grow with the data; numeric libraries use as many threads."""
    memory: Memory | None = None
    """Memory such as `4GiB` or `512MiB`, or how it grows with the data."""
    timeout_seconds: Annotated[float, Field(ge=1, le=MAX_SECONDS)] = 3600
    """Seconds after which the job and all its children are ended."""

    @property
    def memory_mib(self) -> int | None:
        """The memory in MiB, rounded up; None where there is no limit. Only once it is resolved."""
        return None if self.memory is None else fixed_mib(self.memory)

    @property
    def threads(self) -> int | None:
        """How many threads numeric libraries may use; None for as many as there are cores."""
        return None if self.cpu is None else max(1, math.floor(fixed_cpus(self.cpu)))

    @property
    def max_seconds(self) -> float:
        """How long the step may take, waiting for a machine included."""
        return self.timeout_seconds

    @property
    def summary(self) -> str:
        """What the step may use, as one line. Only for resolved compute."""
        cpu = "all CPUs" if self.cpu is None else f"{fixed_cpus(self.cpu):g} CPUs"
        gpu = getattr(self, "gpu", 0)
        parts = [cpu, *([f"{gpu} GPUs"] if gpu else []), self.memory or "memory of the worker"]
        return f"{getattr(self, 'backend', '')}, {', '.join(map(str, parts))}"


class LocalCompute(StepCompute):
    """A child process of the worker."""

    backend: Literal["local"] = "local"
    """`local`: a child process of the worker."""
    queue: Annotated[str, Field(pattern=_WORKER_QUEUE)] = "training"
    """The queue of Airflow's workers that run it (Celery); executors without queues ignore it."""
    executor: Annotated[str, Field(pattern=_EXECUTOR)] | None = None
    """The executor of Airflow's that runs it, by a name or alias from `core.executor`; null for the
    first of them."""

    @field_validator("cpu")
    @classmethod
    def _whole(cls, value: Cpu | None) -> Cpu | None:
        return value if value is None else whole_cpus(value)


class ImageCompute(StepCompute):
    """A job that runs in an image: the same command everywhere."""

    image: Text
    """The image, named by its digest: `NAME@sha256:…`."""
    allow_tag: bool = False
    """For development only: let `image` be a tag, which may mean another image tomorrow."""
    python: Annotated[str, Field(pattern=r"^3\.\d{1,2}$")] = "3.12"
    """The minor version of Python in the image; that of the training is part of what names a
    version."""
    gpu: Annotated[int, Field(ge=0, le=64, strict=True)] = 0
    """GPUs; a model that needs them names its own image."""
    cpu: Cpu
    """CPUs to ask for, or how they grow with the data."""
    memory: Memory
    """Memory to ask for, such as `4GiB`, or how it grows with the data."""

    @model_validator(mode="after")
    def _image_is_pinned(self) -> ImageCompute:
        if re.fullmatch(_DIGEST, self.image):
            return self
        if not re.fullmatch(_TAGGED, self.image):
            raise ValueError(f"image: {self.image!r} is not the name of an image")
        if not self.allow_tag:
            raise ValueError(
                f"image: {self.image!r} names no digest, so it may be another image tomorrow; "
                "allowed: NAME@sha256:… with 64 hex digits (while developing: allow_tag: true)"
            )
        return self


class BatchCompute(ImageCompute):
    """A job on AWS Batch."""

    backend: Literal["batch"]
    """`batch`: a job on AWS Batch."""
    connection: Name = "aws_default"
    """The Airflow connection (Amazon Web Services) that submits and watches jobs."""
    queue: Annotated[str, Field(pattern=_QUEUE)]
    """The job queue: its name or ARN."""
    job_definition: Text
    """The job definition with its revision, `NAME:3`; its image must be the one named here."""
    platform: Literal["ec2", "fargate"] = "ec2"
    """What the queue runs on: EC2 takes whole CPUs, Fargate certain pairs of CPU and memory."""
    spot_retries: Annotated[int, Field(ge=0, le=9)] = 0
    """How often Batch may start a job again whose host was lost, as spot hosts are."""
    runnable_timeout_seconds: Annotated[float, Field(ge=1, le=MAX_SECONDS)] = 1800
    """Seconds to wait for a machine; then the job is ended, for want of capacity."""
    poll_seconds: Annotated[float, Field(ge=0.2, le=600)] = 10
    """Seconds between two checks of the job."""
    tags: dict[
        Annotated[str, Field(pattern=_TAG_TEXT)],
        Annotated[str, Field(pattern=_TAG_TEXT)],
    ] = Field(default_factory=dict, max_length=MAX_TAGS)
    """Tags of the job beside our own, for example a cost centre."""

    @field_validator("job_definition")
    @classmethod
    def _has_a_revision(cls, value: str) -> str:
        arn = r"arn:aws[a-z-]*:batch:[a-z0-9-]+:\d{12}:job-definition/"
        if re.fullmatch(rf"({arn})?[A-Za-z0-9][A-Za-z0-9_-]{{0,127}}:[1-9]\d*", value):
            return value
        raise ValueError(
            f"{value!r} names no revision, so it may be another definition tomorrow; allowed: "
            "NAME:REVISION, for example train:3"
        )

    @property
    def max_seconds(self) -> float:
        """How long the step may take, waiting for a machine included."""
        tries = 1 + self.spot_retries
        return tries * (self.timeout_seconds + self.runnable_timeout_seconds)

    @model_validator(mode="after")
    def _platform_takes_it(self) -> BatchCompute:
        if self.timeout_seconds < BATCH_MIN_SECONDS:
            raise ValueError(
                f"timeout_seconds: {self.timeout_seconds:g} is less than AWS Batch takes; allowed: "
                f"{BATCH_MIN_SECONDS} to {MAX_SECONDS}"
            )
        for name in self.tags:
            if name.lower().startswith(("aws:", "retraining-")):
                raise ValueError(f"tags: {name!r}: 'aws:' and 'retraining-' are taken")
        if self.platform == "fargate":
            self._fargate_takes_it()
            return self
        whole_cpus(self.cpu, "cpu: ")
        if min_mib(self.memory) < BATCH_MIN_MIB:
            raise ValueError(f"memory: AWS Batch takes {BATCH_MIN_MIB}MiB and more")
        return self

    def _fargate_takes_it(self) -> None:
        if self.gpu:
            raise ValueError("gpu: Fargate has none; allowed: platform: ec2")
        for cpu, mib in (
            (min_cpus(self.cpu), min_mib(self.memory)),
            (max_cpus(self.cpu), max_mib(self.memory)),
        ):
            if mib not in FARGATE_SIZES.get(cpu, ()):
                raise ValueError(
                    f"cpu and memory: Fargate has no size of {cpu:g} CPUs with {mib}MiB; "
                    f"{_fargate_choices(cpu)}"
                )


class Toleration(Section):
    """A taint of nodes that a pod tolerates."""

    key: Annotated[str, Field(pattern=_LABEL_KEY)]
    """The taint's key."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """Whether the value counts."""
    value: Annotated[str, Field(pattern=_LABEL_VALUE)] = ""
    """The taint's value, for `Equal`."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; null for all."""

    @model_validator(mode="after")
    def _value_counts(self) -> Toleration:
        if self.operator == "Exists" and self.value:
            raise ValueError("value: `Exists` takes none")
        return self


class PodSecret(Section):
    """An environment variable whose value Kubernetes takes from a secret; we never see it."""

    env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,127}$")]
    """The variable's name."""
    secret: Annotated[str, Field(pattern=_SUBDOMAIN)]
    """The name of the Kubernetes secret, in the pod's namespace."""
    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,253}$")]
    """The key in it."""


class KubernetesCompute(ImageCompute):
    """A pod on Kubernetes."""

    backend: Literal["kubernetes"]
    """`kubernetes`: a pod."""
    connection: Name = "kubernetes_default"
    """The Airflow connection (Kubernetes Cluster Connection) that makes and watches pods."""
    namespace: Annotated[str, Field(pattern=_LABEL)]
    """The namespace."""
    cpu_limit: FixedCpu | None = None
    """CPUs that the pod may use at most; null for what is free on its node."""
    memory_limit: FixedMemory | None = None
    """Memory at which the pod is killed; null for as much as it asks for."""
    node_selector: dict[
        Annotated[str, Field(pattern=_LABEL_KEY)], Annotated[str, Field(pattern=_LABEL_VALUE)]
    ] = Field(default_factory=dict)
    """Labels that a node must have."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that do not keep the pod away."""
    service_account: Annotated[str, Field(pattern=_SUBDOMAIN)] | None = None
    """The service account whose role the job has; null for the namespace's default."""
    priority_class: Annotated[str, Field(pattern=_SUBDOMAIN)] | None = None
    """The priority class."""
    secrets: tuple[PodSecret, ...] = ()
    """Environment variables from Kubernetes secrets."""
    startup_timeout_seconds: Annotated[float, Field(ge=1, le=MAX_SECONDS)] = 600
    """Seconds to wait until the pod runs; then it is deleted."""
    poll_seconds: Annotated[float, Field(ge=0.2, le=600)] = 5
    """Seconds between two checks of the pod."""

    @property
    def max_seconds(self) -> float:
        """How long the step may take, waiting for a node included."""
        return self.timeout_seconds + self.startup_timeout_seconds

    @model_validator(mode="after")
    def _limits_are_above_requests(self) -> KubernetesCompute:
        if self.cpu_limit is not None and self.cpu_limit < max_cpus(self.cpu):
            raise ValueError(
                f"cpu_limit: {self.cpu_limit:g} is below the {max_cpus(self.cpu):g} CPUs asked for"
            )
        if self.memory_limit is not None and fixed_mib(self.memory_limit) < max_mib(self.memory):
            raise ValueError(
                f"memory_limit: {self.memory_limit} is below the {max_mib(self.memory)}MiB asked "
                "for"
            )
        names = [secret.env for secret in self.secrets]
        if len(set(names)) != len(names):
            raise ValueError("secrets: an environment variable is named twice")
        return self


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
    | Annotated[KubernetesCompute, Tag("kubernetes")],
    Discriminator(
        _backend,
        custom_error_type="unknown_backend",
        custom_error_message="is not a known backend",
    ),
]
AnyCompute = LocalCompute | BatchCompute | KubernetesCompute
ComputeT = TypeVar("ComputeT", bound=StepCompute)


class ComputeBySteps(Section):
    """Compute for each heavy step; the model card is made where the evaluation runs."""

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
                "one_job: no two steps that follow each other name the same backend (batch or "
                "kubernetes), image and resources"
            )
        return self

    def of(self, step: JobStep) -> AnyCompute:
        """Return the compute of a step, `card` included."""
        if step == "validate":
            return self.validate_data
        return self.train_model if step == "train" else self.evaluate_model

    def together(self, step: JobStep) -> tuple[JobStep, ...]:
        """Return the steps that a job started for ``step`` runs: it, and those that may follow."""
        ours = self.of(step)
        if not self.one_job or step == "card" or isinstance(ours, LocalCompute):
            return (step,)
        following = STEPS[STEPS.index(step) :]
        found: list[JobStep] = [step]
        for other in following[1:]:
            if _without_timeout(self.of(other)) != _without_timeout(ours):
                break
            found.append(other)
        return tuple(found)

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
    if isinstance(compute, BatchCompute) and compute.platform == "fargate":
        number, mib = fargate_size(number or 0, mib or 0)
    elif number is not None and not isinstance(compute, KubernetesCompute):
        number = float(math.ceil(number))
    text = None if mib is None else f"{mib}MiB"
    return compute.model_copy(update={"cpu": number, "memory": text})


def _fargate_choices(cpu: float) -> str:
    sizes = FARGATE_SIZES.get(cpu)
    if sizes is None:
        return f"allowed CPUs: {', '.join(f'{size:g}' for size in FARGATE_SIZES)}"
    step = sizes[1] - sizes[0]
    return f"allowed with {cpu:g} CPUs: {sizes[0]}MiB to {sizes[-1]}MiB in steps of {step}MiB"


def _without_timeout(compute: StepCompute) -> dict[str, Any]:
    return compute.model_dump(exclude={"timeout_seconds"})
