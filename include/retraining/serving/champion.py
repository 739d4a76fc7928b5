"""The champion of a model, for those who use it: verified, loaded once, and followed.

The promotion log is the only source: no event and no alias is believed. One process reads the log
again every few seconds, beside the requests, and loads another version when the log names one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Hashable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from os import getpid
from time import monotonic

from include.retraining.documents import canonical_json, sha256_of
from include.retraining.exceptions import ConfigError, InfrastructureError, NotFound
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.serving.forked import require_usable_stores
from include.retraining.serving.version import LoadedVersion, load_served
from include.retraining.store.marker import open_store
from include.retraining.store.object_store import Store
from include.retraining.store.redaction import redact

log = logging.getLogger(__name__)

CHECK_EVERY = timedelta(seconds=10)
STALE_AFTER = timedelta(hours=1)
MAX_WAIT_SECONDS = 5.0
"""How long after it began nobody waits any more for a reading of the log."""

_readers: dict[tuple[Hashable, ...], _ChampionReader] = {}
"""By process, store with its options, model and what is trusted."""


def load_champion(
    store: Store | str | None,
    name: str,
    *,
    stale_after: timedelta | None = STALE_AFTER,
    check_every: timedelta = CHECK_EVERY,
    trusted: Collection[str] | None = None,
) -> LoadedVersion:
    """Return the champion of a model; call it for each request, it costs microseconds.

    The first call of a process verifies and loads. Later ones return what is loaded, and once
    ``check_every`` has passed the log is read again beside them, so that a promotion or a rollback
    is followed at the next call after that. A process that was idle for longer waits for the log.

    Args:
        store: the store or its address; None takes the environment's (`RETRAINING_STORE`).
        name: the model's.
        stale_after: how long the last good champion is returned while the log, or the champion that
            it names, cannot be read; then that is raised. None keeps it for ever, zero takes a
            champion only from a log that was read during the call.
        check_every: how often the log is read; zero reads it in each call.
        trusted: what may be loaded or run; None takes what the model's YAML reviewed
            (`training.trusted_types`, `allow_commands`).

    Returns:
        The version with its generation. While the log cannot be read, `stale_because` says why.

    Raises:
        ConfigError: for a ``stale_after`` or ``check_every`` that is no timedelta of at least zero.
        NotFound: when no version was promoted yet.
        RegistryError: when the promotion log is broken.
        ArtifactError: when the version is damaged, was made by another scikit-learn, or holds what
            was not reviewed.
        StorageError: when the store refuses or does not answer.
        InfrastructureError: when one of these has lasted longer than ``stale_after``; in a process
            that was forked from one that had loaded a version.
    """
    allowed = float("inf") if stale_after is None else _seconds("stale_after", stale_after)
    interval = _seconds("check_every", check_every)
    place = _place(store) if isinstance(store, Store) else store
    key = (getpid(), place, name, None if trusted is None else frozenset(trusted))
    reader = _readers.get(key)
    if reader is None:
        require_usable_stores()
        reader = _readers.setdefault(key, _ChampionReader(store, name, trusted))
    return reader.champion(allowed, interval)


def _seconds(argument: str, value: timedelta) -> float:
    """Return a time in seconds, or refuse what is none."""
    if not isinstance(value, timedelta) or value < timedelta(0):
        raise ConfigError(
            f"load_champion: {argument} is {value!r}: allowed is a datetime.timedelta of at least 0"
            + (", or None to keep the champion for ever" if argument == "stale_after" else "")
        )
    return value.total_seconds()


def _place(store: Store) -> tuple[str, str]:
    """Return what distinguishes a store from others: who may read one address may differ."""
    return store.uri, sha256_of(canonical_json(store.options))


@dataclass(frozen=True)
class _Known:
    """What is known of the champion; times are of the monotonic clock, in seconds."""

    champion: LoadedVersion | None = None
    read_at: float = float("-inf")
    """When the last reading that succeeded began."""
    tried_at: float = float("-inf")
    """When the last reading ended."""
    error: Exception | None = None
    """Of the last reading."""

    def is_stale(self, asked: float, stale_after: float) -> bool:
        """Return whether it is too old for who asked at that time, or there is no champion."""
        return self.champion is None or asked - self.read_at > stale_after


class _ChampionReader:
    """Reads one model's log in a thread beside those that ask, one reading at a time."""

    def __init__(
        self, store: Store | str | None, name: str, trusted: Collection[str] | None
    ) -> None:
        self._store, self._name, self._trusted = store, name, trusted
        self._lock = threading.Lock()
        self._known = _Known()
        self._reading = threading.Thread()
        self._began_at = float("-inf")

    def champion(self, stale_after: float, check_every: float) -> LoadedVersion:
        """Return the champion as `load_champion` does; both times in seconds."""
        asked = monotonic()
        known = self._known
        idle = asked - known.tried_at
        is_stale = known.is_stale(asked, stale_after)
        is_patient = is_stale and (known.error is None or stale_after == 0)
        if idle >= check_every or is_patient:
            if is_stale or idle >= 2 * check_every:
                self._wait(asked, stale_after, is_patient=is_patient)
            else:
                self._begin()
        return self._answer(self._known, asked, stale_after)

    def _answer(self, known: _Known, asked: float, stale_after: float) -> LoadedVersion:
        """Return the champion, or raise why there is none to return."""
        if known.champion is None:
            error = known.error or InfrastructureError(f"{self._name}: the log is still being read")
            raise error.with_traceback(None)  # it may be raised many times, by several threads
        if not known.is_stale(asked, stale_after):
            return known.champion
        raise InfrastructureError(
            f"{self._name}: the champion was last known {asked - known.read_at:.0f} s ago, allowed "
            f"are {stale_after:.0f} s: {known.error or 'the store has not answered yet'}"
        ) from known.error

    def _wait(self, asked: float, stale_after: float, *, is_patient: bool) -> None:
        """Read, and wait for the end; who is not patient waits for `MAX_WAIT_SECONDS` only."""
        for _ in range(2):  # a reading that was under way already may be older than is allowed
            reading, began_at = self._begin()
            left = max(0.0, began_at + MAX_WAIT_SECONDS - monotonic())
            reading.join(None if is_patient else left)
            known = self._known
            if known.error is not None or not known.is_stale(asked, stale_after):
                return

    def _begin(self) -> tuple[threading.Thread, float]:
        """Return the reading that is under way and when it began, after starting it if needed."""
        with self._lock:
            if not self._reading.is_alive():
                self._began_at = monotonic()
                self._reading = threading.Thread(
                    target=self._read, args=(self._began_at,), name=f"champion of {self._name}"
                )
                self._reading.daemon = True  # it must not keep the process from ending
                self._reading.start()
            return self._reading, self._began_at

    def _read(self, began_at: float) -> None:
        before = self._known
        try:
            champion = self._champion(before.champion)
        except Exception as error:  # noqa: BLE001 any error is kept, and raised to who asks
            kept = before.champion and replace(before.champion, stale_because=redact(str(error)))
            if kept is not None:  # else whoever asked is answered with it
                log.warning(
                    "%s: the champion could not be read: %s", self._name, redact(str(error))
                )
            self._known = replace(before, champion=kept, tried_at=monotonic(), error=error)
        else:
            self._known = _Known(champion, read_at=began_at, tried_at=monotonic())

    def _champion(self, before: LoadedVersion | None) -> LoadedVersion:
        """Return the version that the log names now, loaded anew only where it is another one."""
        if not isinstance(self._store, Store):
            self._store = open_store(self._store)
        now = datetime.now(UTC)
        entry = PromotionLog(self._store, self._name).champion()
        if entry is None:
            raise NotFound(f"{self._name}: no version was promoted yet in {self._store.uri}")
        if before is not None and before.digest == entry.version_digest:
            return replace(before, generation=entry.generation, checked_at=now, stale_because=None)
        champion = replace(load_served(self._store, entry, self._trusted), checked_at=now)
        log.info(
            "%s: version %s is the champion (generation %d)",
            self._name,
            champion.version,
            entry.generation,
        )
        return champion
