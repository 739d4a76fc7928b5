"""A step as an asynchronous invocation of a function on AWS Lambda."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from include.retraining.config.base import Name, Text
from include.retraining.config.sizes import FixedCpu, FixedMemory, fixed_mib
from include.retraining.config.step_compute import ImageCompute

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LAMBDA_MAX_SECONDS = 900
LAMBDA_MIN_MIB = 128
LAMBDA_MAX_MIB = 10_240
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
LAMBDA_MIB_PER_CPU = 1769
# The most that an asynchronous invocation may wait in Lambda's queue.
LAMBDA_MAX_EVENT_AGE_SECONDS = 21_600
_ARN = r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:"


class LambdaCompute(ImageCompute):
    """An asynchronous invocation of a function on AWS Lambda."""

    backend: Literal["lambda"]
    """`lambda`: an asynchronous invocation of a function on AWS Lambda."""
    connection: Name = "aws_default"
    """The Airflow connection (Amazon Web Services) that invokes the function."""
    function: Text
    """The function with its published version, `NAME:3`; its image, and its memory, must be those
    named here."""
    cpu: FixedCpu | None = None
    """Follows the memory, one CPU for each 1,769 MiB: leave it out."""
    memory: FixedMemory
    """The function's memory, 128MiB to 10GiB."""
    timeout_seconds: Annotated[float, Field(ge=1, le=LAMBDA_MAX_SECONDS)] = LAMBDA_MAX_SECONDS
    """Seconds after which the job is ended; the function's own timeout must be as long or longer,
    and the job is ended ten seconds before that."""
    startup_timeout_seconds: Annotated[float, Field(ge=1, le=LAMBDA_MAX_EVENT_AGE_SECONDS)] = 600
    """Seconds to wait until the function runs; then it may not start any more."""
    poll_seconds: Annotated[float, Field(ge=0.2, le=600)] = 5
    """Seconds between two checks of the store."""

    @field_validator("function")
    @classmethod
    def _has_a_version(cls, value: str) -> str:
        if re.fullmatch(rf"({_ARN})?[A-Za-z0-9_-]{{1,64}}:[1-9]\d*", value):
            return value
        raise ValueError(
            f"{value!r} names no published version, so it may run another image tomorrow; allowed: "
            "NAME:VERSION, for example train:3"
        )

    @field_validator("memory")
    @classmethod
    def _function_has_it(cls, value: str) -> str:
        if LAMBDA_MIN_MIB <= fixed_mib(value) <= LAMBDA_MAX_MIB:
            return value
        raise ValueError(
            f"{value!r} is no size of a function on AWS Lambda; allowed: {LAMBDA_MIN_MIB}MiB to "
            f"{LAMBDA_MAX_MIB}MiB"
        )

    @model_validator(mode="after")
    def _cpu_follows_the_memory(self) -> LambdaCompute:
        if self.cpu not in {None, self.cpu_of_memory}:
            raise ValueError(
                f"cpu: on AWS Lambda it follows the memory, {self.memory} come with "
                f"{self.cpu_of_memory:g} CPUs: leave it out"
            )
        return self

    @property
    def cpu_of_memory(self) -> float:
        """The CPUs that come with the memory."""
        return round(fixed_mib(self.memory) / LAMBDA_MIB_PER_CPU, 2)

    @property
    def function_name(self) -> str:
        """The function's name or ARN without the version."""
        return self.function.rpartition(":")[0]

    @property
    def version(self) -> str:
        """The function's published version."""
        return self.function.rpartition(":")[2]

    @property
    def max_seconds(self) -> float:
        """How long the step may take, waiting in Lambda's queue included."""
        return self.timeout_seconds + self.startup_timeout_seconds
