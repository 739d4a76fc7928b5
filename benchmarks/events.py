"""From an object that is written to a run that has begun, and whether kills lose an event."""

from __future__ import annotations

import os
import statistics
from pathlib import Path

from benchmarks.measuring import Row
from tests.support.event_story import EventStage, event_stage

SIZE = "BENCH_EVENTS"
DEFAULT_SIZE = "1000,10,20"
"""How many events, how many kills, how many models."""
SINGLE, DOUBLED = 20, 20
MAX_SECONDS = 5.0
MAX_TASK_SECONDS = 2.0
SETTLING_SECONDS = 3600.0


def measure(folder: Path) -> list[Row]:
    """Measure in an empty folder."""
    events, kills, models = (int(part) for part in os.environ.get(SIZE, DEFAULT_SIZE).split(","))
    with event_stage(folder, models) as running:
        rows = [_latency(running, min(SINGLE, events))]
        running.write_through_kills(events, kills)
        running.wait_for_silence(SETTLING_SECONDS)
        rows += [_loss(running, kills), *_doubled(running, min(DOUBLED, events))]
    return rows


def _latency(running: EventStage, count: int) -> Row:
    seconds = []
    for number in range(count):
        written = running.deliver(running.models[number % len(running.models)])
        seconds.append(running.seconds_to_begin(written))
        running.wait_for_silence(300)
    median = statistics.median(seconds)
    return Row(
        "events",
        f"object written to run begun, median of {count} (most {max(seconds):.1f} s)",
        f"{median:.1f} s",
        f"{MAX_SECONDS:g} s",
        ratio=median / MAX_SECONDS,
        limit=1.0,
    )


def _loss(running: EventStage, kills: int) -> Row:
    lost = running.lost()
    again = len(running.reported()) - len(set(running.reported()))
    return Row(
        "events",
        f"lost of {len(running.written)}, {kills} kills ({again} reported twice)",
        str(len(lost)),
        "0",
        ratio=float(len(lost)),
        limit=0.0,
    )


def _doubled(running: EventStage, count: int) -> list[Row]:
    made, seconds = running.report_doubled(count)
    twice = running.decided_twice()
    return [
        Row(
            "events",
            f"deliveries decided on twice, by {len(made)} runs of doubled events",
            str(len(twice)),
            "0",
            ratio=float(len(twice)) if made else 1.0,
            limit=0.0,
        ),
        Row(
            "events",
            "processor time of both tasks of such a run, median",
            f"{statistics.median(seconds):.1f} s",
            f"{MAX_TASK_SECONDS:g} s",
            ratio=statistics.median(seconds) / MAX_TASK_SECONDS,
            limit=1.0,
        ),
    ]
