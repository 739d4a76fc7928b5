"""The warm parent: it imports the libraries once, and the jobs that it forks need not.

`python -m include.orchestration.backends.local.warm_parent SOCKET DEPLOYED GROUP…`, with the
listening socket as its standard input. A group is `LIBRARY,LIBRARY…`; the first one is imported
before any job starts, the others while nobody waits.

It holds no model, no store and no secret, and runs no code of a model. What a job is to do arrives
in a process that was forked for that job alone, its attendant, which forks the job and reports its
end. So a job outlives the parent.

It ends when nobody has used it for a while, when other code is deployed, when its socket is gone,
and with the last worker that used it.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from include.orchestration.backends.local.warm_attendant import (
    Order,
    attend,
    send,
    skip_teardown,
)
from include.orchestration.backends.local.warm_identity import deployed

IDLE_SECONDS = 300.0
TICK_SECONDS = 5.0
TITLE = "retraining: warm parent of jobs"
ROOT = Path(__file__).resolve().parents[4]


class WarmParent:
    """Imports while nobody waits, and forks for whoever connects."""

    def __init__(
        self, listener: socket.socket, address: str, code: str, groups: Sequence[str]
    ) -> None:
        """Serve one socket.

        Args:
            listener: a listening Unix socket.
            address: its path.
            code: the digest of what was deployed when this process was asked for.
            groups: modules to import, with commas between; each group while nobody waits.
        """
        self._listener = listener
        self._address = Path(address)
        self._inode = self._address.stat().st_ino
        self._code = code
        self._groups = list(groups)
        self._workers: dict[int, int] = {}
        """A descriptor of each worker whose tasks came, by its process id."""
        self._attendants: dict[int, int] = {}
        """Likewise of each attendant that has not ended."""
        self._had_worker = False
        self._is_refusing = False
        self._used = time.monotonic()

    def serve(self) -> Order | None:
        """Fork jobs while that is wanted; return an order in the process that carries it out."""
        self._import_group()
        while self.is_wanted():
            ready = self._wait()
            if self._listener.fileno() in ready:
                order = self._answer()
                if order is not None:
                    return order
            elif not ready:
                self._import_group()
        return None

    def _import_group(self) -> None:
        """Import the next group; a library that is missing is the job's error to report."""
        for library in self._groups.pop(0).split(",") if self._groups else ():
            with suppress(ImportError):
                importlib.import_module(library)
        gc.freeze()  # a collection in a job must not copy what they share

    def _wait(self) -> set[int]:
        """Wait for a task, the end of a worker, or the next look; return what is ready."""
        poll = select.poll()
        for descriptor in (self._listener.fileno(), *self._others()):
            poll.register(descriptor, select.POLLIN)
        seconds = 0 if self._groups else TICK_SECONDS
        ready = {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
        for pid, descriptor in [*self._workers.items()]:
            if descriptor in ready:
                os.close(self._workers.pop(pid))
        for pid, descriptor in [*self._attendants.items()]:
            if descriptor in ready:
                os.close(self._attendants.pop(pid))
                os.waitpid(pid, 0)  # which adds what the job used to what this process did
        return ready

    def _others(self) -> list[int]:
        return [*self._workers.values(), *self._attendants.values()]

    def is_wanted(self) -> bool:
        """Return whether a task may still come, and find what it needs here."""
        is_alone = self._had_worker and not self._workers
        is_idle = time.monotonic() - self._used > IDLE_SECONDS
        if is_alone or is_idle or self._is_refusing:
            return False
        return self._has_socket() and deployed(ROOT) == self._code

    def remove_socket(self) -> None:
        """Remove the socket, if it is still this parent's, and a log in which nothing stands."""
        if self._has_socket():
            self._address.unlink(missing_ok=True)
            log = self._address.with_suffix(".log")
            if log.exists() and log.stat().st_size == 0:
                log.unlink(missing_ok=True)

    def _has_socket(self) -> bool:
        with suppress(FileNotFoundError):
            return self._address.stat().st_ino == self._inode
        return False

    def _answer(self) -> Order | None:
        """Fork an attendant for who connected; return what its job is to do, in the job."""
        connection, _ = self._listener.accept()
        with connection:
            peer, user, _ = struct.unpack(
                "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            )
            if user != os.geteuid():
                return None
            try:
                self._remember_worker_of(peer)
            except OSError:  # the task is gone again
                return None
            self._used = time.monotonic()
            try:
                self._check_single_threaded()
                attendant = os.fork()
                if attendant > 0:
                    self._attendants[attendant] = os.pidfd_open(attendant)
                    return None
            except (RuntimeError, OSError) as error:
                self._is_refusing = True
                send(connection, {"refused": str(error)})
                return None
            self._listener.close()
            for descriptor in self._others():
                os.close(descriptor)
            return attend(connection)

    def _check_single_threaded(self) -> None:
        """Refuse to fork beside another thread: it may hold a lock that a child waits for forever.

        Raises:
            RuntimeError: naming the threads.
        """
        tasks = Path("/proc/self/task")
        names = [(task / "comm").read_text().strip() for task in tasks.iterdir()]
        if len(names) != 1:
            raise RuntimeError(f"the warm parent has {len(names)} threads: {', '.join(names)}")

    def _remember_worker_of(self, task: int) -> None:
        """Note the worker that runs a task: the process that the task's own is a child of."""
        worker = int(Path(f"/proc/{task}/stat").read_text().rpartition(")")[2].split()[1])
        self._had_worker = True
        if worker not in self._workers:
            self._workers[worker] = os.pidfd_open(worker)


def main() -> Order | None:
    """Serve until there is no more need; return an order in a process that is to carry it out."""
    from setproctitle import setproctitle

    listener = socket.socket(fileno=os.dup(0))
    # The task that asked for this process waits for nothing more than its start.
    if os.fork() > 0:
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    setproctitle(TITLE)  # now, as it finds its place by the environment that the kernel passed
    atexit.register(skip_teardown)
    address, code, *groups = sys.argv[1:]
    parent = WarmParent(listener, address, code, groups)
    order = parent.serve()
    if order is None:
        parent.remove_socket()
    return order


if __name__ == "__main__":
    _order = main()
    if _order is not None:
        _order.carry_out()
