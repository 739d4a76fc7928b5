"""A step as a pod on Kubernetes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from include.retraining.config.base import Name, Section
from include.retraining.config.sizes import (
    FixedCpu,
    FixedMemory,
    fixed_mib,
    max_cpus,
    max_mib,
)
from include.retraining.config.step_compute import MAX_SECONDS, SizedCompute

_LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_SUBDOMAIN = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
_LABEL_KEY = (
    r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
)
_LABEL_VALUE = r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$"


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


class KubernetesCompute(SizedCompute):
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
