"""One job's attendant: a fork of the warm parent that forks the job and reports how it ended.

The task sends an order with the descriptors that become the job's standard streams; the attendant
answers with the job's process id, opens the gate when the task says so, and at the end reports that
the job ended, and after the task has heard of it, how. Until then the job's id is not given away.
Until the gate opens the job has done nothing: a task that gets no answer starts it from scratch.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import select
import shutil
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

HEADER = struct.Struct("!I")
GO = b"g"
SEEN = b"s"


_ENDS_WITH: list[int] = []
"""The exit code of the job that this process is, when it is known."""


def skip_teardown() -> None:
    """End a job at once after all other exit handlers: freeing each object takes 0.2 s of a core.

    To be registered with `atexit` before any library, so that it runs last.
    """
    if _ENDS_WITH:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # closed, or nobody reads it
                stream.flush()
        os._exit(_ENDS_WITH[0])


@dataclass(frozen=True)
class Order:
    """What a job is to run."""

    module: str
    words: tuple[str, ...]
    folder: str
    """Its working directory, where its code is imported from."""
    environment: Mapping[str, str]

    def carry_out(self) -> None:
        """Run the module as `python -m` would, in this process, to the end of the interpreter."""
        from setproctitle import setproctitle

        atexit.unregister(shutil.rmtree)  # of the parent's folders, which other jobs share
        os.chdir(self.folder)
        sys.path[0] = self.folder
        kept = {"LC_CTYPE": os.environ["LC_CTYPE"]} if "LC_CTYPE" in os.environ else {}
        os.environ.clear()  # kept is what Python itself sets at its start
        os.environ.update({**kept, **self.environment})
        setproctitle(" ".join([sys.executable, "-m", self.module, *self.words]))
        # Nothing of ours is taken over from the parent: the job imports what lies there now.
        for name in [name for name in sys.modules if name.partition(".")[0] == "include"]:
            del sys.modules[name]
        _own_random_numbers()
        _own_threads()
        sys.argv[1:] = self.words
        exit_code = 1
        try:
            runpy.run_module(self.module, run_name="__main__", alter_sys=True)
            exit_code = 0
        except SystemExit as end:
            if end.code is None or isinstance(end.code, int):
                exit_code = end.code or 0
            raise
        finally:
            _ENDS_WITH.append(exit_code)


def attend(connection: socket.socket) -> Order:
    """Start the job that a task orders, and report. Returns in the job only.

    Args:
        connection: the task's.
    """
    order = None
    try:
        ordered, streams = receive_order(connection)
        gate, keeper = socket.socketpair()
        job = os.fork()
        if job == 0:
            connection.close()
            keeper.close()
            _pass_the_gate(gate, streams)
            order = ordered
        else:
            gate.close()
            for stream in streams:
                os.close(stream)
            _report(connection, job, keeper)
    except (ConnectionError, EOFError):
        pass  # the task is gone, and its job with it
    except Exception:  # noqa: BLE001 nobody else is there to write it down
        traceback.print_exc()
    finally:
        if order is None:
            os._exit(0)
    return order


def send(connection: socket.socket, message: Mapping[str, Any]) -> None:
    """Send one message to the task, as a line."""
    connection.sendall(json.dumps(message).encode() + b"\n")


def send_order(connection: socket.socket, order: Mapping[str, Any], streams: list[int]) -> None:
    """Send what a job is to run.

    Args:
        connection: to the warm parent.
        order: the fields of `Order`.
        streams: the job's standard input, output and error.
    """
    data = json.dumps(order).encode()
    socket.send_fds(connection, [HEADER.pack(len(data))], streams)
    connection.sendall(data)


def receive_order(connection: socket.socket) -> tuple[Order, list[int]]:
    """Return what a job is to run, and its standard streams.

    Raises:
        EOFError: when the task is gone.
    """
    header, streams, _, _ = socket.recv_fds(connection, HEADER.size, 3)
    if len(header) != HEADER.size:
        raise EOFError("the task is gone")
    data = b""
    (size,) = HEADER.unpack(header)
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise EOFError("the task is gone")
        data += chunk
    fields = json.loads(data)
    return Order(**{**fields, "words": tuple(fields["words"])}), streams


def _pass_the_gate(gate: socket.socket, streams: list[int]) -> None:
    """Become the job's process, and wait until the task knows of it; end if it never will."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    gate.sendall(GO)
    if gate.recv(1) != GO:
        os._exit(0)
    gate.close()


def _report(connection: socket.socket, job: int, keeper: socket.socket) -> None:
    """Wait for the job and report; when the task is gone, end the job and all that it started."""
    keeper.recv(1)  # its group exists from now on, and can be signalled
    send(connection, {"pid": job})
    if connection.recv(1) == GO:
        keeper.sendall(GO)
    keeper.close()
    end = os.pidfd_open(job)
    if end in select.select([end, connection.fileno()], [], [])[0]:
        send(connection, {"has_ended": True})
    if connection.recv(1) != SEEN:
        with suppress(ProcessLookupError):
            os.killpg(job, signal.SIGKILL)
    _, status, usage = os.wait4(job, 0)
    exit_code = os.waitstatus_to_exitcode(status)
    send(connection, {"exit_code": exit_code, "peak_memory_bytes": usage.ru_maxrss * 1024})


def _own_random_numbers() -> None:
    """Seed what numpy seeded in the parent, or two jobs draw the same. Python does it itself."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def _own_threads() -> None:
    """Give numeric libraries the threads that they would have read from the environment.

    They read it when they are loaded, which was in the parent: one thread for BLAS.
    """
    if "threadpoolctl" not in sys.modules:
        return
    from threadpoolctl import threadpool_limits

    cpus = len(os.sched_getaffinity(0))
    blas = int(os.environ.get("OPENBLAS_NUM_THREADS") or cpus)
    threadpool_limits(min(blas, cpus), user_api="blas")  # OpenBLAS takes no more than CPUs either
    limit = os.environ.get("OMP_NUM_THREADS")
    if limit:
        threadpool_limits(int(limit), user_api="openmp")
        if "pyarrow" in sys.modules:
            sys.modules["pyarrow"].set_cpu_count(int(limit))
