"""What every step may use, as a child process of the worker or in an image elsewhere."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from include.retraining.config.base import Section, Text
from include.retraining.config.sizes import (
    Cpu,
    Memory,
    fixed_cpus,
    fixed_mib,
    whole_cpus,
)

# A job on Fargate may be ended after 14 days, despite a longer timeout; credentials of a role and
# images do not outlive that elsewhere either.
# https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html
MAX_SECONDS = 14 * 86_400
_DIGEST = r"[a-z0-9][A-Za-z0-9._/:-]*@sha256:[0-9a-f]{64}"
_TAGGED = r"[a-z0-9][A-Za-z0-9._/:-]*"
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


class SizedCompute(ImageCompute):
    """A job in an image that asks its platform for CPUs, memory and GPUs."""

    gpu: Annotated[int, Field(ge=0, le=64, strict=True)] = 0
    """GPUs; a model that needs them names its own image."""
    cpu: Cpu
    """CPUs to ask for, or how they grow with the data."""
    memory: Memory
    """Memory to ask for, such as `4GiB`, or how it grows with the data."""
