"""Models that run on each backend, on platforms that stand in for the real ones on loopback.

A job on Batch, a pod and a function's environment are child processes of the test's own process;
the real clients, operators and triggers talk to them over HTTP.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from include.retraining.store.object_store import Store
from tests.support.airflow_harness import Stage, stage
from tests.support.aws_batch_api import BatchApi, batch_api
from tests.support.aws_lambda_api import LambdaApi, lambda_api
from tests.support.invariants import Work, check_one_live_job
from tests.support.kubernetes_api import KubernetesApi, kubernetes_api

IMAGE = f"registry.example/training@sha256:{'a' * 64}"
JOB_COMMAND = (sys.executable, "-m", "include.retraining")
STEPS = ("validate_data", "train_model", "evaluate_model")
SHARED_DATA = {
    "trigger": {"flag": "landing/shared/ready.flag"},
    "data": {"location": "landing/shared"},
}


@dataclass
class Platforms:
    """A running Airflow with all platforms beside it."""

    airflow: Stage
    batch: BatchApi
    kubernetes: KubernetesApi
    functions: LambdaApi

    def submissions(self, model: str) -> list[str]:
        """Return the names of a model's jobs, pods and invocations, oldest first.

        Those that grade are left out: they run beside the others, in no order with them.
        """
        return [name for name in self._names(model) if not _is_grading(model, name)]

    def gradings(self, model: str) -> list[str]:
        """Return the names of those that grade and compare, oldest first."""
        return [name for name in self._names(model) if _is_grading(model, name)]

    def _names(self, model: str) -> list[str]:
        prefix = job_prefix(model)
        jobs = [request["jobName"] for request in self.batch.submissions(prefix)]
        pods = [name for name in self.kubernetes.submissions() if name.startswith(prefix)]
        invocations = [payload["name"] for payload in self.functions.submissions(prefix)]
        return jobs + pods + invocations

    def process_of(self, name: str) -> int:
        """Wait until a job runs, on any platform, and return its process id."""
        return self.airflow.wait_for(lambda: self._pid(name), f"process of {name}")

    def lose_host(self, name: str) -> None:
        """Let the machine under a running job be gone."""
        for job in self.batch.jobs:
            if job.name == name:
                return self.batch.lose_host(job)
        for invocation in self.functions.jobs:
            if invocation.name == name:
                return self.functions.lose_host(invocation)
        return self.kubernetes.vanish(name)

    def check_one_live_job(self) -> None:
        """Assert V5, for all that ever worked on a step on any platform."""
        jobs = [(job.name, job.started, job.stopped) for job in self.batch.jobs]
        executions = [
            (job.name, one.started, one.ended)
            for job in self.functions.jobs
            for one in job.executions
            if one.has_worked
        ]
        worked = [*jobs, *self.kubernetes.node.worked, *executions]
        check_one_live_job(
            # The last part of a name numbers the jobs of one step of one plan.
            Work(name.rpartition("-")[0], started, ended)
            for name, started, ended in worked
            if started is not None
        )

    def _pid(self, name: str) -> int | None:
        for job in self.batch.jobs:
            if job.name == name:
                return job.pid
        for invocation in self.functions.jobs:
            if invocation.name == name:
                return invocation.pid
        return self.kubernetes.process(name).pid if name in self.kubernetes.names() else None


def job_prefix(model: str) -> str:
    """Return how the names of a model's jobs begin."""
    return f"retrain-{model.replace('_', '-')[:16].rstrip('-')}-"


def _is_grading(model: str, name: str) -> bool:
    return name.removeprefix(job_prefix(model)).partition("-")[0] == "grade"


def on_batch(**changes: Any) -> dict[str, Any]:
    """The compute of a step on AWS Batch."""
    return {
        "backend": "batch",
        "image": IMAGE,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "queue": "queue",
        "job_definition": "training:1",
        "cpu": 1,
        "memory": "2GiB",
        "poll_seconds": 0.5,
        **changes,
    }


def on_kubernetes(**changes: Any) -> dict[str, Any]:
    """The compute of a step on Kubernetes."""
    return {
        "backend": "kubernetes",
        "image": IMAGE,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "namespace": "ml",
        "cpu": 1,
        "memory": "2GiB",
        "poll_seconds": 0.5,
        **changes,
    }


def on_lambda(**changes: Any) -> dict[str, Any]:
    """The compute of a step on AWS Lambda."""
    return {
        "backend": "lambda",
        "image": IMAGE,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "connection": "aws_functions",
        "function": "training:1",
        "memory": "2GiB",
        "poll_seconds": 0.5,
        **changes,
    }


def everywhere(compute: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """YAML values that put every step on the same compute."""
    return {"compute": {**{step: dict(compute) for step in STEPS}, **more}}


@contextmanager
def platforms(
    folder: Path,
    root: Path,
    *,
    command: Sequence[str] = JOB_COMMAND,
    role: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    store: Store | None = None,
) -> Iterator[Platforms]:
    """Start all platforms and an Airflow that knows them, check V5, and end all of it again.

    Args:
        folder: an empty folder.
        root: the copy of the repository that Airflow and the jobs run.
        command: what stands in for the image's entry point on Batch and Kubernetes.
        role: what the platforms give to every job.
        environment: more environment variables for Airflow.
        store: an initialised store; a folder's when it is not given.
    """
    given = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    given |= role or {}
    with (
        batch_api(prefix=command, folder=root, environment=given) as batch,
        kubernetes_api(root, command=command, environment=given) as kubernetes,
        lambda_api(folder=root, environment=given) as functions,
    ):
        batch.define("training", image=IMAGE)
        functions.define("training", image=IMAGE)
        connections = {
            "AIRFLOW_CONN_AWS_DEFAULT": batch.connection,
            "AIRFLOW_CONN_AWS_FUNCTIONS": functions.connection,
            "AIRFLOW_CONN_KUBERNETES_DEFAULT": kubernetes.connection(),
            **(environment or {}),
        }
        with stage(folder, root=root, environment=connections, store=store) as airflow:
            here = Platforms(airflow, batch, kubernetes, functions)
            yield here
            here.check_one_live_job()
