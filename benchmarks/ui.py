"""What the pages in Airflow's UI cost: to a reader, and to the processes that only load the plugin.

The store is a folder with 50 models and 2,000 decisions, the API server a real one. The requests to
the store are counted in this process, for a bucket, where each of them takes tens of milliseconds.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.measuring import Row, python
from include.pages.store_cache import CachingStore, ObjectCache
from include.retraining.history.overview import READERS, OverviewCache, summarize_models
from include.retraining.store.object_store import Store
from tests.support.large_store import DECISIONS, MODELS
from tests.support.repository_copy import REPOSITORY
from tests.support.ui_site import SHIPPED, Site, crowded_site

REPEATS = 15
LIMIT_SECONDS = 0.5
LIMIT_IMPORT = 1.05
"""How much more CPU time a process may need that loads the plugin."""
# CPU time of a process that loads plugins, with and without ours.
LOAD = """
import sys, time
started = time.process_time()
sys.path.append(sys.argv[1])
import airflow.plugins_manager
if len(sys.argv) > 2:
    __import__(sys.argv[2])
import json
print(json.dumps([time.process_time() - started, len(sys.modules)]))
"""


def measure(folder: Path) -> list[Row]:
    """Measure in an empty folder."""
    with crowded_site(folder) as running:
        rows = _pages(running)
    return [*rows, _requests(running.store), _loading(folder)]


def _pages(running: Site) -> list[Row]:
    headers = {"Authorization": f"Bearer {running.token('user')}"}
    with httpx.Client(
        base_url=running.url, headers=headers, timeout=120, trust_env=False
    ) as client:

        def ask(path: str) -> float:
            started = time.perf_counter()
            answer = client.get(path)
            seconds = time.perf_counter() - started
            assert answer.status_code == 200, answer.text
            return seconds

        first = ask("/retraining/models")
        while "counted so far" in client.get("/retraining/models").text:
            time.sleep(0.2)
        again = [ask("/retraining/models") for _ in range(REPEATS)]
        one = [ask(f"/retraining/models/{SHIPPED[0]}") for _ in range(REPEATS)]
        dags = client.get("/api/v2/dags").json()["total_entries"]
        airflows = [ask("/api/v2/dags?limit=50") for _ in range(REPEATS)]
    what = f"{MODELS} models, {DECISIONS:,} decisions"
    theirs = f"{_ms(median(airflows))}, Airflow's own list of {dags} DAGs"
    return [
        Row(
            "ui",
            f"Models, {what}",
            _ms(median(again)),
            f"{_ms(LIMIT_SECONDS)} allowed",
            median(again) / LIMIT_SECONDS,
            1.0,
        ),
        Row("ui", "the same, the slowest", _ms(max(again)), theirs),
        Row("ui", "the first page after a start, with all imports", _ms(first)),
        Row(
            "ui",
            "a model's page",
            _ms(median(one)),
            f"{_ms(LIMIT_SECONDS)} allowed",
            median(one) / LIMIT_SECONDS,
            1.0,
        ),
    ]


class _Counted:
    """obstore's object, counting what is asked of it."""

    def __init__(self, objects: Any, counts: Counter[str]) -> None:
        self._objects, self._counts = objects, counts

    def __getattr__(self, name: str) -> Callable[..., Any]:
        self._counts[name] += 1
        return getattr(self._objects, name)  # type: ignore[no-any-return]


def _requests(store: Store) -> Row:
    """Count what one look asks of the store: the first, and one when nothing changed."""
    names, memory, cache = store.children("models")[0], ObjectCache(), OverviewCache()
    asked: list[Counter[str]] = []
    for _ in range(2):
        counts: Counter[str] = Counter()
        look = CachingStore(store, memory)
        look._objects = _Counted(look._objects, counts)
        summarize_models(look, names, entries=12, cache=cache)
        asked.append(counts)
    first, again = (sum(counts.values()) for counts in asked)
    words = f"{again}, {READERS} at a time: {dict(asked[1])}"
    return Row("ui", "requests to the store by a look", words, f"{first} by the first look")


def _loading(folder: Path) -> Row:
    runs: dict[bool, list[list[float]]] = {False: [], True: []}
    plugins = str(REPOSITORY / "plugins")
    environment = {"AIRFLOW_HOME": str(folder / "home"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    for _ in range(5):
        for is_loaded, found in runs.items():
            more = ["model_pages"] if is_loaded else []
            used = python("-P", "-c", LOAD, plugins, *more, folder=folder, environment=environment)
            found.append(json.loads(used.output.splitlines()[-1]))
    ours, theirs = (min(run[0] for run in runs[key]) for key in (True, False))
    more_modules = runs[True][0][1] - runs[False][0][1]
    return Row(
        "ui",
        "CPU time to load plugins, ours among them",
        f"{_ms(ours)}, {more_modules:.0f} modules more",
        f"{_ms(theirs)} without it",
        ours / theirs,
        LIMIT_IMPORT,
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
