"""What the light tasks import: each is a process of its own, and pays for it every time."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import include

ROOT = Path(include.__file__).parents[1]
ROOMS = ("operators", "callbacks", "runtime")
HEAVY = {
    "aiohttp", "boto3", "botocore", "fairlearn", "kubernetes", "matplotlib", "numpy", "pandas",
    "pandera", "pyarrow", "scipy", "skops", "sklearn",
}  # fmt: skip
# What a store on AWS needs, and what connections of the types `http` and `pagerduty_events` do.
EXCEPT = {
    "include/orchestration/runtime/aws_store.py",
    "include/orchestration/callbacks/json_post.py",
    "include/orchestration/callbacks/pagerduty.py",
}

CHILD = """
import importlib, json, sys
import airflow.sdk.execution_time.task_runner
import dags.retrain_pipeline
for module, names in json.loads(sys.argv[1]):
    imported = importlib.import_module(module)
    for name in names:
        if not hasattr(imported, name):
            importlib.import_module(f"{module}.{name}")
report = importlib.import_module("include.orchestration.runtime.lineage").report_lineage
report(inputs=["file:///landing"], outputs=["s3://bucket/prefix"])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def imports_of(file: Path) -> list[tuple[str, list[str]]]:
    """Return what a file imports, within its functions too, but for types."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for_types = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    imports: list[tuple[str, list[str]]] = []
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            imports.append((node.module, [name.name for name in node.names]))
        elif isinstance(node, ast.Import):
            imports += [(name.name, []) for name in node.names]
    return imports


def test_light_tasks_import_nothing_that_only_jobs_need() -> None:
    """Neither the libraries of data and models, nor clients that a light task has no use for."""
    wanted = [
        entry
        for room in ROOMS
        for file in sorted((ROOT / "include" / "orchestration" / room).glob("*.py"))
        if file.relative_to(ROOT).as_posix() not in EXCEPT
        for entry in imports_of(file)
        if entry[0] != "__future__"
    ]
    assert len(wanted) > 100
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(wanted)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"},
    )
    assert done.returncode == 0, done.stderr
    assert HEAVY & set(json.loads(done.stdout.splitlines()[-1])) == set()
