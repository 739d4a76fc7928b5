"""What parsing `dags/` costs: time and imported modules, against a DAG file with one empty DAG."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.dag_processor import file_seconds
from benchmarks.measuring import Row, python
from tests.support.repository_copy import add_model, copy_repository

REPEATS = 8
MAX_FILE_SECONDS = 25.0
"""Half of what the DAG processor allows a file (`dag_file_processor_timeout`)."""
EMPTY = """
from airflow.sdk import DAG
with DAG("empty", schedule=None):
    pass
"""
# What a process that parses one file pays, its imports included, as the DAG processor and every
# task do. The context is what a running task sets. CPU time, because a parse waits for nothing and
# other programs of the machine then do not count.
PARSE = """
import os, sys, time
started = time.process_time()
sys.path.append(sys.argv[1])
if len(sys.argv) > 3:
    os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] = sys.argv[3]
    os.environ["_AIRFLOW_PARSING_CONTEXT_TASK_ID"] = "plan_run"
import importlib.util
import airflow.sdk
ready = time.process_time()
spec = importlib.util.spec_from_file_location("parsed", sys.argv[2])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
ended = time.process_time()
dags = [value for value in vars(module).values() if isinstance(value, airflow.sdk.DAG)]
dags += [dag for dag in vars(module).get("DAGS", ()) if dag not in dags]
import json
print(json.dumps([ended - started, ended - ready, len(sys.modules), len(dags)]))
"""


def measure(folder: Path) -> list[Row]:
    """Measure in an empty folder."""
    root = copy_repository(folder / "repository")
    file = root / "dags" / "retrain_pipeline.py"
    empty = folder / "empty.py"
    empty.write_text(EMPTY)
    shipped = Parse(folder, root, file)
    nothing = Parse(folder, root, empty)
    in_task = Parse(folder, root, file, "retrain_loan_approval")
    crowds = {count: _crowd(folder, count) for count in (100, 1000)}
    many = {
        count: Parse(folder, crowd, crowd / "dags" / file.name) for count, crowd in crowds.items()
    }
    many_in_task = {
        count: Parse(folder, crowd, crowd / "dags" / file.name, "retrain_loan_approval")
        for count, crowd in crowds.items()
    }
    # In turns, so that a busy moment of the machine meets all of them.
    for _ in range(REPEATS):
        for parse in (nothing, shipped, in_task, *many_in_task.values()):
            parse.run()
    for parse in many.values():
        parse.run()
    home = folder / "dag-processor"
    home.mkdir()
    slowest = max(file_seconds(home, crowds[1000]).items(), key=lambda item: item[1])
    modules = shipped.modules / nothing.modules
    return [
        _row("dags/ as shipped : an empty DAG file", shipped, nothing, limit=1.3),
        Row("parse", "modules imported", f"{shipped.modules}", f"{nothing.modules}", modules, 1.3),
        *(_row(f"{count} more models : as shipped", many[count], shipped) for count in crowds),
        *(
            _row(f"in a task, {count} more models : as shipped", parse, in_task, limit=1.1)
            for count, parse in many_in_task.items()
        ),
        Row(
            "parse",
            f"1000 more models in the DAG processor, {slowest[0]} : what is allowed",
            f"{slowest[1]:.1f} s",
            f"{MAX_FILE_SECONDS:g} s",
            slowest[1] / MAX_FILE_SECONDS,
            1.0,
        ),
    ]


def _crowd(folder: Path, count: int) -> Path:
    root = copy_repository(folder / f"repository-{count}")
    for number in range(count):
        add_model(root, f"bench_{number:04d}")
    return root


class Parse:
    """Parsing one file, several times."""

    def __init__(self, folder: Path, root: Path, file: Path, dag_id: str | None = None) -> None:
        """Describe it.

        Args:
            folder: where Airflow may leave its files.
            root: the bundle's root.
            file: the DAG file.
            dag_id: the DAG of the running task that parses; None for the DAG processor.
        """
        self._folder = folder
        self._arguments = [str(root), str(file), *([dag_id] if dag_id else [])]
        self._runs: list[list[float]] = []

    def run(self) -> None:
        """Parse once, in a fresh interpreter."""
        environment = {
            "AIRFLOW_HOME": str(self._folder / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        }
        arguments = ("-P", "-c", PARSE, *self._arguments)
        used = python(*arguments, folder=self._folder, environment=environment)
        self._runs.append(json.loads(used.output.splitlines()[-1]))

    @property
    def seconds(self) -> float:
        """The least CPU time, the import of `airflow.sdk` included: the least of each part."""
        return min(run[0] - run[1] for run in self._runs) + self.own_seconds

    @property
    def own_seconds(self) -> float:
        """The same without importing `airflow.sdk`, which every worker has done already."""
        return min(run[1] for run in self._runs)

    @property
    def modules(self) -> int:
        """How many modules were imported in the end."""
        return int(self._runs[0][2])


def _row(what: str, ours: Parse, theirs: Parse, limit: float | None = None) -> Row:
    return Row("parse", what, _text(ours), _text(theirs), ours.seconds / theirs.seconds, limit)


def _text(parse: Parse) -> str:
    return f"{parse.seconds:.2f} s (the file: {parse.own_seconds * 1000:.0f} ms)"
