"""How much training was saved because nothing had changed."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from include.retraining.decision_record import Outcome
from include.retraining.records import decision_keys
from include.retraining.storage import Store

_DUE = re.compile(r"/(\d{8}T\d{6})-[^/]+$")


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
    """Runs that were looked at."""
    all_runs: int
    """Runs that there are; more than ``counted`` while the others are still being read."""


class Tally:
    """Counts what was saved. A record is read once, whatever asks how often."""

    def __init__(self, *, readers: int = 8) -> None:
        """Read so many records at once, in the background."""
        self._pool = ThreadPoolExecutor(max_workers=readers, thread_name_prefix="savings")
        self._known: dict[str, Future[Effort]] = {}
        self._lock = threading.Lock()

    def count(
        self, store: Store, models: Iterable[str], since: datetime, *, patience_seconds: float
    ) -> Saved:
        """Return what was saved by the runs that were due since a time, as far as is known.

        Args:
            store: best one that has listed the decisions already.
            models: whose runs.
            since: the first time a run was due that counts.
            patience_seconds: how long to wait for records that were not read before. What is not
                read by then goes on being read, for the next time.

        Raises:
            StorageError: when the decisions cannot be listed.
        """
        by_model = [_recent(decision_keys(store, model), since) for model in models]
        futures = [[self._effort(store, key) for key in keys] for keys in by_model]
        wait(list(chain.from_iterable(futures)), timeout=patience_seconds)
        known = [[future.result() for future in found if _is_read(future)] for found in futures]
        saved = [_saved(efforts) for efforts in known]
        return Saved(
            runs=sum(runs for runs, _ in saved),
            seconds=sum(seconds for _, seconds in saved),
            counted=sum(map(len, known)),
            all_runs=sum(map(len, by_model)),
        )

    def _effort(self, store: Store, key: str) -> Future[Effort]:
        address = f"{store.uri}/{key}"
        with self._lock:
            found = self._known.get(address)
            if found is None or (found.done() and not _is_read(found)):
                found = self._known[address] = self._pool.submit(_read, store, key)
            return found


def _recent(keys: Iterable[str], since: datetime) -> list[str]:
    """Return the keys of the runs that were due since a time; their names begin with it."""
    first = since.astimezone(UTC).strftime("%Y%m%dT%H%M%S")
    return [key for key in keys if (match := _DUE.search(key)) and match[1] >= first]


def _is_read(future: Future[Effort]) -> bool:
    """Return whether a record was read; one that the store did not give is asked for again."""
    return future.done() and future.exception() is None


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
