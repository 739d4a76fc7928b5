"""Tests that a task uses the code of its own bundle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from include.orchestration.runtime.bundle import assert_own_bundle, git_sha
from include.retraining.exceptions import CodeChanged
from tests.support.contexts import MakeContext

ROOT = Path(__file__).resolve().parents[4]


def test_the_own_bundle_is_accepted(context: MakeContext) -> None:
    """`include` lies under the bundle, so its root is returned."""
    assert assert_own_bundle(context()) == ROOT


def test_another_bundle_is_refused(context: MakeContext, tmp_path: Path) -> None:
    """The error names both folders and is permanent."""
    with pytest.raises(CodeChanged, match=f"imported from {ROOT}, this task's bundle is") as error:
        assert_own_bundle(context(bundle=tmp_path))
    assert error.value.is_permanent


def test_without_a_bundle_the_dag_files_folder_counts(context: MakeContext) -> None:
    """`dag.test()` gives a task no bundle."""
    task = context()
    del task["ti"].bundle_instance
    assert assert_own_bundle(task) == ROOT


def test_a_stale_copy_earlier_on_the_path_stops_the_task(tmp_path: Path) -> None:
    """A second `include` that is found first fails the task before anything is opened."""
    shutil.copytree(
        ROOT / "include", tmp_path / "include", ignore=shutil.ignore_patterns("__pycache__")
    )
    program = f"""
import sys
sys.path[:0] = [{str(tmp_path)!r}]
sys.path.append({str(ROOT)!r})
from datetime import datetime, UTC
from types import SimpleNamespace as Namespace
from airflow.sdk.exceptions import AirflowFailException
from include.orchestration.backends.local.operator import LocalJobOperator
from include.retraining.config.step_compute import LocalCompute
task = LocalJobOperator(task_id="train_model", step="train", compute=LocalCompute())
ti = Namespace(bundle_instance=Namespace(path={str(ROOT)!r}, version=None))
try:
    task.execute({{"ti": ti}})
except AirflowFailException as error:
    print("STOPPED", error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=os.environ,
    )
    assert f"STOPPED `include` was imported from {tmp_path}" in done.stdout


def test_the_commit_is_the_bundles_or_the_images(
    context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git bundle knows its commit; else the image says it; else nobody does."""
    task = context()
    monkeypatch.delenv("GIT_SHA", raising=False)
    assert git_sha(task) is None
    monkeypatch.setenv("GIT_SHA", "of-the-image")
    assert git_sha(task) == "of-the-image"
    task["ti"].bundle_instance = SimpleNamespace(path=ROOT, version="of-the-bundle")
    assert git_sha(task) == "of-the-bundle"
    assert json.dumps(git_sha(task))
