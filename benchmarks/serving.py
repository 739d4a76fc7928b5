"""What a request costs that uses the champion, beside what the bare estimator takes for its rows.

Each time is the least of several rounds, and those of two that are compared alternate, so that
other work on the machine counts little and a change of its clock counts for both.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.measuring import Row
from include.local_airflow.demo.samples import diabetes_progression
from include.retraining.serving.champion import load_champion
from include.retraining.serving.version import LoadedVersion
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.promoted_samples import promote_sample

MODEL = "diabetes_progression"
ROUNDS = 10
CALLS = 200
THREADS = 8
# The goal, for nine columns.
MAX_OF_BARE = 2.0


def measure(folder: Path) -> list[Row]:
    """Measure a call of `load_champion`, and predictions beside those of the bare estimator."""
    store = initialise(f"file://{folder}/store")
    promote_sample(store, MODEL)
    started = time.perf_counter()
    champion = load_champion(store, MODEL)
    first = time.perf_counter() - started
    (folder / "patients.csv").write_bytes(diabetes_progression())
    frame = pd.read_csv(folder / "patients.csv")

    def call() -> object:
        return load_champion(store, MODEL)

    rows = [
        Row("serving", "the first call: read, verify and load", f"{first * 1e3:.0f} ms"),
        Row("serving", "a later call", f"{_seconds(call)[0] * 1e6:.1f} us"),
        Row("serving", f"one by {THREADS} threads at once", f"{_side_by_side(call) * 1e6:.1f} us"),
    ]
    return rows + [_beside_the_bare(store, champion, frame.head(count)) for count in (1, 1000)]


def _beside_the_bare(store: Store, champion: LoadedVersion, given: pd.DataFrame) -> Row:
    """Measure a request for some rows."""
    features = given[list(champion.features)]
    model: Any = champion.model
    ours, theirs = _seconds(
        lambda: load_champion(store, MODEL).predict(given), lambda: model.predict(features)
    )
    return Row(
        "serving",
        f"load_champion().predict() of {len(given):,} rows",
        f"{ours * 1e3:.2f} ms",
        f"{theirs * 1e3:.2f} ms, the bare estimator",
        ours / theirs,
        MAX_OF_BARE,
    )


def _seconds(*calls: Callable[[], object]) -> list[float]:
    """Return the least time of one call, of each of several that take turns."""
    least = [math.inf] * len(calls)
    for _ in range(ROUNDS):
        for number, call in enumerate(calls):
            started = time.perf_counter()
            for _ in range(CALLS):
                call()
            least[number] = min(least[number], (time.perf_counter() - started) / CALLS)
    return least


def _side_by_side(call: Callable[[], object]) -> float:
    """Return the time of one of the calls that several threads make at once."""

    def make_calls() -> None:
        for _ in range(CALLS):
            call()

    threads = [threading.Thread(target=make_calls) for _ in range(THREADS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - started) / (CALLS * THREADS)
