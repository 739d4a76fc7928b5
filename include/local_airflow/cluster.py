"""Start a real Airflow on one machine, watch over it, and end it without leaving a process behind.

SQLite and LocalExecutor; scheduler, DAG processor, triggerer and API server each run under a keeper
(`process_guard.py`), in a process group of their own. For a laptop, for tests and for benchmarks;
never for production.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Self, TypeVar

import psutil  # type: ignore[import-untyped]

from include.local_airflow import process_guard
from include.local_airflow.environment import (
    USERNAME,
    airflow_settings,
    inherited_environment,
    read_secrets,
)
from include.local_airflow.errors import ComponentEnded, TookTooLong
from include.local_airflow.ports import LOOPBACK, free_port, require_free
from include.retraining.exceptions import AirflowUnreachable
from include.retraining.watch.airflow_api import AirflowApi

T = TypeVar("T")

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
AIRFLOW_VERSION = "3.3.2"
# A scheduler that was asked to end waits for its running tasks; they are not worth more than this.
GRACE_SECONDS = 8.0
START_SECONDS = 240.0
LOG_LINES_SHOWN = 15


class LocalAirflow:
    """One Airflow on this machine.

    Use it as a context manager, or call `start` and `stop`.
    """

    def __init__(
        self,
        root: Path,
        home: Path,
        *,
        port: int = 8080,
        environment: Mapping[str, str] | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Describe it; nothing is started yet.

        Args:
            root: the repository's root, which is the DAG bundle.
            home: AIRFLOW_HOME: database, logs and secrets; made when it is not there.
            port: the API server's port on loopback.
            environment: more environment variables for Airflow, which win over our own.
            report: takes what is being done while it starts.
        """
        self.root = root.resolve()
        self.home = home.resolve()
        self.port = port
        self.url = f"http://{LOOPBACK}:{port}"
        self.username = USERNAME
        self.log_folder = self.home / "logs" / "components"
        self._environment = dict(environment or {})
        self._report = report
        self._keepers: dict[str, subprocess.Popen[bytes]] = {}
        self._log_ports = (8793, 8794)
        self._left_behind: list[psutil.Process] = []

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def password(self) -> str:
        """The password of the one user."""
        return read_secrets(self.home)["password"]

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of Airflow's processes; it holds secrets."""
        own = airflow_settings(self.root, self.home, self.port, log_ports=self._log_ports)
        return {**inherited_environment(), **own, **self._environment}

    def start(self) -> None:
        """Start all components and return when each of them is healthy.

        Raises:
            PortTaken: when another program listens on the API server's port.
            ComponentEnded: when a component ended by itself, with the end of its log.
            TookTooLong: when they are not healthy in time.
        """
        require_free(self.port, "Airflow's UI and API", "choose another with PORT=8081")
        worker_port = free_port(8793, avoid={self.port})
        self._log_ports = (worker_port, free_port(8794, avoid={self.port, worker_port}))
        self.migrate()
        self._report(f"starting {_list_words(COMPONENTS)}")
        for component in COMPONENTS:
            self.start_component(component)
        self.wait_for_health()

    def wait_for_health(self) -> None:
        """Return when each component says that it is healthy.

        Raises:
            ComponentEnded: when a component ended by itself, with the end of its log.
            TookTooLong: when they are not healthy in time.
        """
        self.wait_for(self._is_healthy, "healthy Airflow", START_SECONDS, pause_seconds=0.25)

    def migrate(self) -> None:
        """Make or upgrade the database, once per home and version of Airflow.

        Raises:
            ComponentEnded: when it ended with an error, with the end of its log.
        """
        self.log_folder.mkdir(parents=True, exist_ok=True)
        done = self.home / f"migrated-{AIRFLOW_VERSION}"
        if done.exists() and (self.home / "airflow.db").exists():
            return
        self._report("making the database")
        self._spawn("migrate", ["db", "migrate"])
        code = self._keepers["migrate"].wait(timeout=START_SECONDS)
        self._end("migrate")
        if code != 0:
            raise ComponentEnded(self._ended("migrate", code))
        done.touch()

    def start_component(self, component: str) -> None:
        """Start one of `COMPONENTS`, which must not be running."""
        self._spawn(component, [component])

    def _spawn(self, name: str, arguments: list[str]) -> None:
        # -P keeps the working directory off `sys.path`: `include` comes from the bundle alone.
        python = [sys.executable, "-P"]
        with self._open_log(name) as log:
            self._keepers[name] = subprocess.Popen(  # noqa: S603 our own files and constants
                [
                    *python,
                    process_guard.__file__,
                    str(GRACE_SECONDS),
                    *python,
                    "-m",
                    "airflow",
                    *arguments,
                ],
                # Closing this pipe, also by our own death, is what ends the component.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.home,
                env=self.environment,
                # Ctrl-C goes to the terminal's group: the order of the end is ours to choose.
                start_new_session=True,
            )

    def _open_log(self, name: str) -> IO[bytes]:
        # The scheduler's output can hold secrets in clear (webhook addresses), hence the mode.
        descriptor = os.open(self.log_file(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        return os.fdopen(descriptor, "wb")

    def log_file(self, component: str) -> Path:
        """Where a component's output goes."""
        return self.log_folder / f"{component}.log"

    def pid(self, component: str) -> int:
        """The process id of a running component (not of its keeper)."""
        return self._child_of(self._keepers[component])

    @staticmethod
    def _child_of(keeping: subprocess.Popen[bytes]) -> int:
        return int(psutil.Process(keeping.pid).children()[0].pid)

    def kill_component(self, component: str) -> None:
        """End one component with SIGKILL, as a crash would, and everything it had started."""
        os.kill(self.pid(component), signal.SIGKILL)
        self._end(component)

    def lose_component(self, component: str) -> None:
        """End one component with SIGKILL and let what it had started go on without it.

        That is what happens where nobody keeps it: the tasks of a killed scheduler live on.
        """
        keeping = self._keepers.pop(component)
        process = psutil.Process(self._child_of(keeping))
        self._left_behind += process.children(recursive=True)
        keeping.kill()  # first, or it would end what is left of its family
        process.kill()
        keeping.wait()
        if keeping.stdin is not None:
            keeping.stdin.close()

    def stop(self) -> None:
        """End every component and all that they started. Safe to call at any time, again too."""
        self._end(*self._keepers)
        for process in self._left_behind:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._left_behind.clear()

    def _end(self, *components: str) -> None:
        ending = [self._keepers[component] for component in components]
        for process in ending:
            if process.stdin is not None:
                process.stdin.close()
        for process in ending:
            process.wait(timeout=GRACE_SECONDS + 2 * process_guard.KILL_SECONDS)
        for component in components:
            del self._keepers[component]

    def check(self) -> None:
        """Raise `ComponentEnded` when a component is no longer running."""
        for component, process in self._keepers.items():
            code = process.poll()
            if code is not None:
                raise ComponentEnded(self._ended(component, code))

    def _ended(self, component: str, code: int) -> str:
        file = self.log_file(component)
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(f"    {line}" for line in lines[-LOG_LINES_SHOWN:])
        what = "airflow db migrate" if component == "migrate" else f"Airflow's {component}"
        return f"{what} ended with exit code {code}; the end of {file}:\n{tail}"

    def wait_for(
        self,
        condition: Callable[[], T | None],
        what: str,
        timeout_seconds: float,
        *,
        pause_seconds: float = 0.5,
    ) -> T:
        """Call ``condition`` until it returns something true, and return that.

        Raises:
            ComponentEnded: when Airflow breaks meanwhile.
            TookTooLong: after ``timeout_seconds``, naming ``what``.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            self.check()
            result = condition()
            if result:
                return result
            if time.monotonic() > deadline:
                raise TookTooLong(f"no {what} after {timeout_seconds:.0f} s; see {self.log_folder}")
            time.sleep(pause_seconds)

    def _is_healthy(self) -> bool:
        with AirflowApi(self.url, timeout_seconds=5, uses_proxy=False) as api:
            try:
                health = api.health()
            except AirflowUnreachable:
                self._report("waiting for the api-server")
                return False
        late = [part.replace("_", "-") for part, state in health.items() if state != "healthy"]
        if late:
            self._report(f"waiting for the {_list_words(late)}")
        return not late


def _list_words(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
