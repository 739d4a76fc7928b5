"""Tasks that run their steps in pods: what the tests of them share."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseTrigger

from include.orchestration.backends.kubernetes.operator import KubernetesJobOperator
from include.orchestration.runtime.run_reference import run_reference
from include.retraining.config.kubernetes_compute import KubernetesCompute
from include.retraining.runs.claims import JobClaim
from include.retraining.runs.results import StepFailure
from include.retraining.store.object_store import Store
from tests.support.kubernetes_api import KubernetesApi

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "example.org/retraining@sha256:" + "a" * 64


def compute(**fields: Any) -> KubernetesCompute:
    """What a step may use, and a short patience."""
    settings = {"namespace": "models", "cpu": 1, "memory": "1GiB", "poll_seconds": 0.2, **fields}
    return KubernetesCompute(backend="kubernetes", image=IMAGE, **settings)


def job(step: Any = "validate", together: Any = None, **fields: Any) -> KubernetesJobOperator:
    """The operator of one step."""
    return KubernetesJobOperator(
        task_id=f"{step}_it", step=step, together=together, compute=compute(**fields)
    )


def on_kill(trigger: BaseTrigger) -> None:
    """Do what the triggerer does when a person ends a deferred task."""
    _, fields = trigger.serialize()
    asyncio.run(type(trigger)(**fields).on_kill())


def failure_left(store: Store, context: dict[str, Any], step: Any = "validate") -> StepFailure:
    """What the run's callback will read."""
    key = run_reference(context).paths.failure(step)
    return StepFailure.from_bytes(store.read(key), where=key)


def stub(api: KubernetesApi, program: str) -> None:
    """Let pods run a program in place of the image's entry point."""
    preface = (
        "import json, os, pathlib, sys, time\n"
        "RUN = pathlib.Path(sys.argv[sys.argv.index('--run') + 1].removeprefix('file://'))\n"
    )
    api.node.command = [sys.executable, "-u", "-c", preface + textwrap.dedent(program)]


ENDLESS = "print('working'); time.sleep(600)"


def only_pod(api: KubernetesApi) -> dict[str, Any]:
    """The one pod that there is."""
    (name,) = api.names()
    pod = api.pod(name)
    assert pod is not None
    return pod


def old_claim(store: Store, context: dict[str, Any], number: int = 1) -> None:
    """Let a claim be so old that a pod which is not there will not come any more."""
    key = run_reference(context).paths.job(number)
    claim = JobClaim.from_bytes(store.read(key), where=key)
    aged = claim.model_copy(update={"claimed_at": claim.claimed_at - timedelta(minutes=5)})
    store.write(key, aged.to_bytes())
