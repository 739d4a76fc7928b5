"""How much training was saved because nothing had changed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from include.retraining.decisions.record import Outcome
from include.retraining.decisions.record_files import newest_decision_keys
from include.retraining.store.object_store import Store


@dataclass(frozen=True)
class Effort:
    """What one run cost: all that is kept of its record, so that thousands can be."""

    is_no_change: bool
    seconds: float
    """Wall time of its jobs together; 0 when it ran none, or its record cannot be read."""


@dataclass(frozen=True)
class Saved:
    """A tally over all models."""

    runs: int
    """Runs that trained nothing because nothing had changed."""
    seconds: float
    """What the jobs of the run before, which trained, had taken, for each of them."""
    counted: int
    """Runs whose records were read."""
    all_runs: int
    """Runs that there are; more than ``counted`` while the others are still being read."""


class Tally:
    """Counts what was saved. Each record is read once, however often the count is asked for."""

    def __init__(self, *, readers: int = 8) -> None:
        """Read so many records at once, in the background."""
        self._pool = ThreadPoolExecutor(max_workers=readers, thread_name_prefix="savings")
        self._known: dict[tuple[str, str], Effort] = {}
        self._asked: dict[tuple[str, str], Future[None]] = {}
        self._lock = threading.Lock()

    def count(
        self, store: Store, models: Iterable[str], since: datetime, *, patience_seconds: float
    ) -> Saved:
        """Return what is known to have been saved by the runs that were due since a time.

        Args:
            store: best one that has listed the decisions already.
            models: whose runs.
            since: the first time a run was due that counts.
            patience_seconds: how long to wait for records that were not read before. What is not
                read by then is read in the background, for the next call.

        Raises:
            StorageError: when the decisions cannot be listed.
        """
        by_model = [list(newest_decision_keys(store, model, since=since)) for model in models]
        self._read_all(store, chain.from_iterable(by_model), patience_seconds)
        known = [
            [effort for key in keys if (effort := self._known.get((store.uri, key)))]
            for keys in by_model
        ]
        saved = [_saved(efforts) for efforts in known]
        return Saved(
            runs=sum(runs for runs, _ in saved),
            seconds=sum(seconds for _, seconds in saved),
            counted=sum(map(len, known)),
            all_runs=sum(map(len, by_model)),
        )

    def _read_all(self, store: Store, keys: Iterable[str], patience_seconds: float) -> None:
        """Read what is not known; one that the store does not give is asked for the next time."""
        with self._lock:
            places = [(store.uri, key) for key in keys if (store.uri, key) not in self._known]
            for place in places:
                if place not in self._asked:
                    self._asked[place] = self._pool.submit(self._learn, store, place)
            asked = [self._asked[place] for place in places]
        wait(asked, timeout=patience_seconds)

    def _learn(self, store: Store, place: tuple[str, str]) -> None:
        try:
            self._known[place] = _read(store, place[1])
        finally:
            with self._lock:
                self._asked.pop(place, None)


def _read(store: Store, key: str) -> Effort:
    """Read the two facts that count. A whole record is checked where it is shown."""
    data = store.read(key)
    try:
        record = json.loads(data)
        steps = (record.get("compute") or {}).values()
        seconds = sum(float(step.get("seconds") or 0) for step in steps)
        return Effort(record.get("outcome") == Outcome.NO_CHANGE, seconds)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return Effort(is_no_change=False, seconds=0)  # the model's own page says what is wrong


def _saved(efforts: Sequence[Effort]) -> tuple[int, float]:
    """Return runs and seconds that one model was saved, of its efforts, the newest first."""
    runs, seconds, waiting = 0, 0.0, 0
    for effort in efforts:
        if effort.is_no_change:
            runs, waiting = runs + 1, waiting + 1
        elif effort.seconds > 0:
            seconds, waiting = seconds + waiting * effort.seconds, 0
    return runs, seconds
