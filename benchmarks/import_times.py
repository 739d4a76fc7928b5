"""A plugin for the benchmark's copy of the repository: what each task's process spends on imports.

A task's process is forked from one that has imported Airflow. What it imports itself, Airflow's
modules for it included, is timed where Python loads a module that is not there yet.
"""

from __future__ import annotations

import importlib._bootstrap as bootstrap  # type: ignore[import-not-found]
import json
import os
import time
from pathlib import Path
from typing import Any, ClassVar

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

LOG = Path(os.environ["BENCH_IMPORTS"])

_load = bootstrap._find_and_load


class Times:
    """What this process imported since it was forked."""

    def __init__(self) -> None:
        self.depth = 0
        self.seconds = 0.0
        self.modules = 0
        self.slowest: dict[str, float] = {}
        """Seconds by the module that something outside of any import asked for."""

    def load(self, name: str, import_: Any) -> Any:
        """Import a module, and time it."""
        self.modules += 1
        self.depth += 1
        started = time.perf_counter()
        try:
            return _load(name, import_)
        finally:
            self.depth -= 1
            if self.depth == 0:
                seconds = time.perf_counter() - started
                self.seconds += seconds
                self.slowest[name] = self.slowest.get(name, 0.0) + seconds


TIMES = Times()
bootstrap._find_and_load = TIMES.load
os.register_at_fork(after_in_child=TIMES.__init__)  # type: ignore[misc]


class Listener:
    """Writes a line when a task has done its work."""

    @hookimpl
    def on_task_instance_success(self, task_instance: Any) -> None:
        """Write what the task's process imported until now."""
        slowest = sorted(TIMES.slowest.items(), key=lambda item: -item[1])[:5]
        entry = {
            "dag": task_instance.dag_id,
            "task": task_instance.task_id,
            "run": task_instance.run_id,
            "seconds": TIMES.seconds,
            "modules": TIMES.modules,
            "slowest": dict(slowest),
        }
        with LOG.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


class ImportTimesPlugin(AirflowPlugin):
    """Has Airflow call the listener."""

    name = "import_times"
    listeners: ClassVar[list[Any]] = [Listener()]
