"""A step as a job on AWS Batch."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from include.retraining.config.base import Name, Text
from include.retraining.config.fargate import FARGATE_SIZES
from include.retraining.config.sizes import (
    max_cpus,
    max_mib,
    min_cpus,
    min_mib,
    whole_cpus,
)
from include.retraining.config.step_compute import MAX_SECONDS, SizedCompute

# AWS Batch takes no timeout under a minute, and no container of less memory.
BATCH_MIN_SECONDS = 60
BATCH_MIN_MIB = 4
# Of the 50 tags of a job, how many ours leave to a model.
MAX_TAGS = 40
_QUEUE = r"^(arn:aws[a-z-]*:batch:[a-z0-9:-]+/)?[A-Za-z0-9][A-Za-z0-9_-]{0,127}$"
_TAG_TEXT = r"^[A-Za-z0-9 +=._:/@-]{1,128}$"


class BatchCompute(SizedCompute):
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


def _fargate_choices(cpu: float) -> str:
    sizes = FARGATE_SIZES.get(cpu)
    if sizes is None:
        return f"allowed CPUs: {', '.join(f'{size:g}' for size in FARGATE_SIZES)}"
    step = sizes[1] - sizes[0]
    return f"allowed with {cpu:g} CPUs: {sizes[0]}MiB to {sizes[-1]}MiB in steps of {step}MiB"
