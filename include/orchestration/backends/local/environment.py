"""The whole environment of a job on the worker."""

from __future__ import annotations

import json
import os

from include.orchestration.backends.thread_limits import thread_limits
from include.orchestration.runtime.store import StoreAddress
from include.retraining.config.step_compute import LocalCompute

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV")
"""All that a job gets of a worker's environment, beside what names GPUs and their libraries.
AIRFLOW__* and AIRFLOW_CONN_* hold every secret there is."""


def job_environment(address: StoreAddress, compute: LocalCompute) -> dict[str, str]:
    """Return the whole environment of a job: what it needs, and no secret but the store's."""
    from include.retraining.runs.machine_environment import machine_environment
    from include.retraining.store.object_store import OPTIONS_VARIABLE, URI_VARIABLE

    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= machine_environment(os.environ)
    return environment | {
        **thread_limits(compute),
        "PYTHONUNBUFFERED": "1",
        URI_VARIABLE: address.uri,
        OPTIONS_VARIABLE: json.dumps(address.options),
    }
