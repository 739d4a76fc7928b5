"""Many small models whose flags land at the same minute, on one Airflow; others idle beside them.

What a model costs must not grow with how many there are.
"""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.many_models import Decided, many_models
from benchmarks.measuring import Row
from benchmarks.postgres import postgres

SIZES = "BENCH_FLEET"
DEFAULT_SIZES = "10,100,300"
"""How many models at once, the first being what the others are compared with."""
IDLE = "BENCH_FLEET_IDLE"
DEFAULT_IDLE = "1000"
IDLE_SECONDS = 120.0
MODELS, MAX_HOURS = 1000, 2.0
MAX_GROWTH = 1.2


def measure(folder: Path) -> list[Row]:
    """Measure in an empty folder."""
    sizes = [int(size) for size in os.environ.get(SIZES, DEFAULT_SIZES).split(",")]
    idle = int(os.environ.get(IDLE, DEFAULT_IDLE))
    rows: list[Row] = []
    first: Decided | None = None
    for size in sizes:
        decided = _decided(folder / f"alone-{size}", size)
        first = first or decided
        rows += _rows(f"{size} models", decided, first)
    assert first is not None
    place = folder / f"beside-{idle}"
    place.mkdir()
    with (
        postgres() as database,
        many_models(place, busy=sizes[0], idle=idle, database=database) as fleet,
    ):
        fleet.decide()  # warms up
        share = fleet.idle_cpu(IDLE_SECONDS)
        rows.append(Row("fleet", f"nothing to do, {idle} models: share of a core", f"{share:.2f}"))
        rows += _rows(f"{sizes[0]} models, {idle} idle", fleet.decide(), first)
    return rows


def _decided(folder: Path, size: int) -> Decided:
    folder.mkdir()
    with (
        postgres() as database,
        many_models(folder, busy=size, database=database) as fleet,
    ):
        return fleet.decide()


def _rows(what: str, decided: Decided, first: Decided) -> list[Row]:
    hours = MODELS / decided.per_hour
    return [
        Row(
            "fleet",
            f"{what}: decided per hour, {MODELS} in hours : allowed",
            f"{decided.per_hour:.0f}, {hours:.2f} h",
            f"{MAX_HOURS:.1f} h",
            hours / MAX_HOURS,
            1.0,
        ),
        Row(
            "fleet",
            f"{what}: CPU per model : of {first.models}",
            f"{decided.cpu_per_model:.1f} s",
            f"{first.cpu_per_model:.1f} s",
            decided.cpu_per_model / first.cpu_per_model,
            MAX_GROWTH,
        ),
        Row(
            "fleet", f"{what}: most memory, of all processes", f"{decided.peak_bytes / 1e9:.2f} GB"
        ),
        Row("fleet", f"{what}: queued → running, half of the tasks", decided.delay_words),
    ]
