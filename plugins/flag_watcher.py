"""Wakes a trigger when something happens to its flag on disk, long before its next poll.

An event only means: check now. Some never come: from a network disk, from a share of Docker
Desktop, or once the kernel's limits are reached. So every trigger polls as well.

One thread and one inotify instance serve all triggers of a process, because Linux allows a user 128
instances. An instance takes no further folder once it is made, so another one replaces it, and
the old one is read to its end: no event is lost between the two.

Light at import: Airflow loads every plugin in each of its processes, tasks included.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

DELETED = 3
"""What watchfiles calls a deletion."""
STEP_MS = 50
"""Changes that follow one another faster than this are one event."""
DEBOUNCE_MS = 500
"""After this long an event is passed on although changes still follow."""
SYSTEM_POLL_MS = 5_000
"""Between two listings on a system without inotify, where watchfiles lists the folders itself."""
RECHECK_SECONDS = 60.0
"""How often to check whether a folder was replaced by another of the same name."""
RETRY_SECONDS = 300.0
"""How long to leave it to the polls once the system refused to watch."""
REST = 10.0
"""After the watching was renewed, as many times as long as that took, nothing renews it again: a
thousand triggers that start one after the other cost little."""

log = logging.getLogger(__name__)


class Folder(NamedTuple):
    """A folder on this machine, and which one it is among all that had its path."""

    path: str
    device: int
    inode: int


@dataclass(frozen=True, eq=False)
class _Waiting:
    """One trigger that waits for a flag."""

    flag: str
    paths: frozenset[str]
    """The flag, and every folder above it."""
    wake: Callable[[], object]


def nearest_folder(path: str) -> Folder:
    """Return the innermost folder of a path that exists now."""
    for folder in Path(path).parents:
        try:
            if folder.is_dir():
                status = folder.stat()
                return Folder(str(folder), status.st_dev, status.st_ino)
        except OSError:  # removed meanwhile, or closed to us: its parent is not
            continue
    return Folder("/", 0, 0)


class FlagWatcher:
    """Watches the folders of all flags that triggers of this process wait for."""

    def __init__(self) -> None:
        """Watch nothing yet: the thread runs while a trigger waits."""
        self._lock = threading.Lock()
        self._waiting: set[_Waiting] = set()
        self._thread: threading.Thread | None = None
        self._is_renewed = threading.Event()
        """Set when a trigger came, or the last one went."""
        self._is_idle = threading.Event()
        """Set when the last one went."""
        self._reported = ""

    @contextmanager
    def waking(self, flag: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set when something happens to a flag, or to a folder above it.

        Args:
            flag: absolute path; nothing of it need exist.
        """
        event, loop = asyncio.Event(), asyncio.get_running_loop()
        path = Path(flag)
        paths = frozenset(map(str, (path, *path.parents)))
        waiting = _Waiting(flag, paths, lambda: loop.call_soon_threadsafe(event.set))
        with self._lock:
            self._waiting.add(waiting)
            self._is_idle.clear()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="flag-watcher", daemon=True)
                self._thread.start()
            self._is_renewed.set()
        try:
            yield event
        finally:
            with self._lock:  # nobody is woken whose loop may be closed
                self._waiting.discard(waiting)
                if not self._waiting:
                    self._is_idle.set()
                    self._is_renewed.set()

    def _run(self) -> None:
        folders = _WatchedFolders(self._wake)
        try:
            while flags := self._flags():
                started = time.monotonic()
                try:
                    new = folders.cover(flags)
                except (ImportError, OSError, RuntimeError) as error:
                    self._report(error)
                    folders.serve(RETRY_SECONDS, until=self._is_idle)
                    continue
                self._wake(lambda waiting, new=new: waiting.flag in new)
                rest = REST * (time.monotonic() - started)
                has_changed = folders.serve(rest, until=self._is_idle)
                if not new and not has_changed:
                    folders.serve(RECHECK_SECONDS, until=self._is_renewed, ends_on_change=True)
        finally:
            folders.close()

    def _flags(self) -> set[str]:
        """Return the flags that are waited for; where there is none, the thread must end."""
        with self._lock:
            self._is_renewed.clear()
            if not self._waiting:
                self._thread = None
            return {waiting.flag for waiting in self._waiting}

    def _wake(self, concerns: Callable[[_Waiting], bool]) -> bool:
        """Wake those that are concerned; return whether there was one."""
        with self._lock:
            woken = [waiting for waiting in self._waiting if concerns(waiting)]
            for waiting in woken:
                waiting.wake()
        return bool(woken)

    def _report(self, error: Exception) -> None:
        """Log once why nothing can be watched."""
        if str(error) != self._reported:
            self._reported = str(error)
            log.warning(
                "flags on disk are noticed by polling alone, up to `poke_seconds` after they land: "
                "the system does not report changes of folders: %s; on Linux see "
                "`sysctl fs.inotify`",
                error,
            )


class _WatchedFolders:
    """The folders that are watched, and the one inotify instance that does it."""

    def __init__(self, wake: Callable[[Callable[[_Waiting], bool]], bool]) -> None:
        """Watch none yet; ``wake`` is given whom a change concerns."""
        self._wake = wake
        self._folders: set[Folder] = set()
        self._notify: Any = None

    def cover(self, flags: set[str]) -> set[str]:
        """Watch the nearest folder of each flag; return the flags whose folder was not watched.

        Raises:
            ImportError, OSError, RuntimeError: when the system cannot watch them.
        """
        from watchfiles._rust_notify import RustNotify

        nearest = {flag: nearest_folder(flag) for flag in flags}
        new = {flag for flag, folder in nearest.items() if folder not in self._folders}
        if new:
            folders = set(nearest.values())
            paths = sorted({folder.path for folder in folders})
            notify = RustNotify(paths, False, False, SYSTEM_POLL_MS, False, True)
            before, self._notify, self._folders = self._notify, notify, folders
            if before is not None:
                with suppress(RuntimeError):  # a name that is not UTF-8; all are woken anyhow
                    self._pass_on(before.watch(1, 1, 1, None))
                before.close()
        return new

    def serve(
        self, seconds: float, *, until: threading.Event, ends_on_change: bool = False
    ) -> bool:
        """Pass changes on for some seconds, or until an event is set.

        Returns:
            Whether the folders to watch may be others now.
        """
        end, has_changed = time.monotonic() + seconds, False
        while (left := end - time.monotonic()) > 0 and not until.is_set():
            if self._notify is None:
                until.wait(left)
                continue
            try:
                changes = self._notify.watch(DEBOUNCE_MS, STEP_MS, max(1, int(left * 1000)), until)
            except RuntimeError:  # a name that is not UTF-8: this one reports nothing any more
                self.close()
                self._notify, self._folders = None, set()
                return True
            has_changed |= self._pass_on(changes)
            if has_changed and ends_on_change:
                break
        return has_changed

    def _pass_on(self, changes: set[tuple[int, str]] | str) -> bool:
        """Wake whom changes concern; return whether the folders to watch may be others now."""
        if isinstance(changes, str):  # no change: the time is up, or the event is set
            return False
        changed = {path for _, path in changes}
        has_woken = self._wake(lambda waiting: not changed.isdisjoint(waiting.paths))
        watched = {folder.path for folder in self._folders}
        gone = {path for kind, path in changes if kind == DELETED} & watched
        self._folders = {folder for folder in self._folders if folder.path not in gone}
        return has_woken or bool(gone)

    def close(self) -> None:
        """Watch nothing any more."""
        if self._notify is not None:
            self._notify.close()


WATCHER = FlagWatcher()
"""The one of this process."""
