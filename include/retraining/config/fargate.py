"""The sizes of a job on Fargate: only these pairs of CPU and memory exist.

Source: https://docs.aws.amazon.com/batch/latest/userguide/fargate.html
"""

from __future__ import annotations

FARGATE_SIZES: dict[float, tuple[int, ...]] = {
    0.25: (512, 1024, 2048),
    0.5: tuple(range(1024, 4096 + 1, 1024)),
    1: tuple(range(2048, 8192 + 1, 1024)),
    2: tuple(range(4096, 16_384 + 1, 1024)),
    4: tuple(range(8192, 30_720 + 1, 1024)),
    8: tuple(range(16_384, 61_440 + 1, 4096)),
    16: tuple(range(32_768, 122_880 + 1, 8192)),
}
"""MiB of memory by vCPU."""


def fargate_size(cpu: float, memory_mib: int) -> tuple[float, int]:
    """Return the smallest size with at least that many CPUs and that much memory.

    Raises:
        ValueError: when there is none.
    """
    for cpus, sizes in FARGATE_SIZES.items():
        for mib in sizes:
            if cpus >= cpu and mib >= memory_mib:
                return cpus, mib
    raise ValueError(f"Fargate has no size of {cpu:g} CPUs with {memory_mib}MiB")
