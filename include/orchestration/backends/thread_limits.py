"""How many threads a job's numeric libraries may use, on each backend."""

from __future__ import annotations

from include.retraining.config.step_compute import StepCompute

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")


def thread_limits(compute: StepCompute) -> dict[str, str]:
    """Return the variables that keep numeric libraries to a step's CPUs."""
    return {} if compute.threads is None else dict.fromkeys(VARIABLES, str(compute.threads))
