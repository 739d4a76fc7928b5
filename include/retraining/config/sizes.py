"""How much a step may use: fixed, or growing with the bytes of a delivery."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    ByteSize,
    Discriminator,
    Field,
    PositiveFloat,
    Tag,
    TypeAdapter,
    model_validator,
)

from include.retraining.config.base import Section

MIB_PER_GIB = 1024
BYTES_PER_MIB = 2**20
BYTES_PER_GIB = 2**30
# What a YAML may say. `ByteSize` alone would also take `4G`, for 4 GB, and small letters.
_MEMORY = r"\d{1,7}(\.\d{1,3})? ?(MiB|GiB)"
_BYTES = TypeAdapter(ByteSize)
# More than the largest machine for rent has: beyond it lies a slip, such as MiB taken for GiB.
MAX_CPUS = 2048
MAX_GIB = 32 * 1024
_OR_BY_SIZE = ", or a mapping of per_gib_of_data, min_gib and max_gib"


class MemoryBySize(Section):
    """Memory that grows with the delivery."""

    per_gib_of_data: PositiveFloat
    """GiB of memory for each GiB of the delivery's files."""
    min_gib: PositiveFloat
    """The floor."""
    max_gib: Annotated[PositiveFloat, Field(le=MAX_GIB)]
    """The ceiling."""

    @model_validator(mode="after")
    def _ordered(self) -> MemoryBySize:
        if self.min_gib > self.max_gib:
            raise ValueError(f"min_gib {self.min_gib:g} is above max_gib {self.max_gib:g}")
        return self


class CpuBySize(Section):
    """CPUs that grow with the delivery."""

    per_gib_of_data: PositiveFloat
    """CPUs for each GiB of the delivery's files."""
    min: PositiveFloat
    """The floor."""
    max: Annotated[PositiveFloat, Field(le=MAX_CPUS)]
    """The ceiling."""

    @model_validator(mode="after")
    def _ordered(self) -> CpuBySize:
        if self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


def _amount(value: Any) -> Any:
    """Refuse what is no amount of memory, in words that say what is one."""
    if isinstance(value, str) and re.fullmatch(_MEMORY, value) and memory_bytes(value) > 0:
        if fixed_mib(value) > MAX_GIB * MIB_PER_GIB:
            raise ValueError(f"{value!r} is more than any machine has; at most {MAX_GIB}GiB")
        return value
    or_by_size = "" if isinstance(value, dict) else _OR_BY_SIZE
    raise ValueError(
        f"{value!r} is no amount of memory; allowed: for example 512MiB or 4GiB{or_by_size}"
    )


def _count(value: Any) -> Any:
    """Refuse what is no number of CPUs; YAML's `true` would be 1."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(  # noqa: TRY004 pydantic reports a ValueError
            f"{value!r} is no number of CPUs; allowed: for example 2, or a mapping of "
            "per_gib_of_data, min and max"
        )
    if value > MAX_CPUS:
        raise ValueError(f"{value:g} CPUs are more than any machine has; at most {MAX_CPUS}")
    return value


def _fixed_or_by_size(value: Any) -> str:
    return "by_size" if isinstance(value, dict | MemoryBySize | CpuBySize) else "fixed"


FixedMemory = Annotated[str, BeforeValidator(_amount)]
FixedCpu = Annotated[PositiveFloat, BeforeValidator(_count)]
Memory = Annotated[
    Annotated[FixedMemory, Tag("fixed")] | Annotated[MemoryBySize, Tag("by_size")],
    Discriminator(_fixed_or_by_size),
]
Cpu = Annotated[
    Annotated[FixedCpu, Tag("fixed")] | Annotated[CpuBySize, Tag("by_size")],
    Discriminator(_fixed_or_by_size),
]


def cpus_for(cpu: Cpu, gib: float) -> float:
    """Return the CPUs for a delivery of so many GiB; Kubernetes counts thousandths."""
    if isinstance(cpu, CpuBySize):
        return math.ceil(min(max(cpu.per_gib_of_data * gib, cpu.min), cpu.max) * 1000) / 1000
    return cpu


def mib_for(memory: Memory, gib: float) -> int:
    """Return the MiB of memory for a delivery of so many GiB, rounded up."""
    if isinstance(memory, MemoryBySize):
        wanted = min(max(memory.per_gib_of_data * gib, memory.min_gib), memory.max_gib)
        return math.ceil(wanted * MIB_PER_GIB)
    return fixed_mib(memory)


def memory_bytes(memory: str) -> int:
    """Return an amount such as `4GiB` or `512MiB` in bytes."""
    return int(_BYTES.validate_python(memory))


def fixed_mib(memory: Memory) -> int:
    """Return a fixed amount of memory in MiB, rounded up."""
    assert isinstance(memory, str)  # noqa: S101 expressions are resolved before they are read
    return math.ceil(memory_bytes(memory) / BYTES_PER_MIB)


def fixed_cpus(cpu: Cpu) -> float:
    """Return a fixed number of CPUs."""
    assert not isinstance(cpu, CpuBySize)  # noqa: S101 expressions are resolved before they are read
    return cpu


def min_cpus(cpu: Cpu) -> float:
    """Return the CPUs for the smallest delivery."""
    return cpu.min if isinstance(cpu, CpuBySize) else cpu


def max_cpus(cpu: Cpu) -> float:
    """Return the CPUs for the largest delivery."""
    return cpu.max if isinstance(cpu, CpuBySize) else cpu


def min_mib(memory: Memory) -> int:
    """Return the MiB of memory for the smallest delivery."""
    if isinstance(memory, MemoryBySize):
        return math.ceil(memory.min_gib * MIB_PER_GIB)
    return fixed_mib(memory)


def max_mib(memory: Memory) -> int:
    """Return the MiB of memory for the largest delivery."""
    if isinstance(memory, MemoryBySize):
        return math.ceil(memory.max_gib * MIB_PER_GIB)
    return fixed_mib(memory)


def whole_cpus(cpu: Cpu, field: str = "") -> Cpu:
    """Refuse parts of CPUs.

    Raises:
        ValueError: naming ``field`` and what is allowed.
    """
    for number in (min_cpus(cpu), max_cpus(cpu)):
        if number != int(number):
            raise ValueError(f"{field}{number:g} CPUs: allowed are whole numbers, 1 and more")
    return cpu
