"""A task waits without a worker slot while another run trains its very version."""

from __future__ import annotations

import stat
import sys
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from include.orchestration.backends.local.operator import LocalJobOperator
from include.orchestration.backends.local.warm_start import SWITCH
from include.orchestration.backends.training_elsewhere import MAX_SILENT_POLLS
from include.orchestration.runtime.run_reference import run_reference
from include.retraining.config.step_compute import LocalCompute
from include.retraining.runs.manifest import RunManifest, read_manifest
from include.retraining.store import marker as store_marker
from include.retraining.store.object_store import Store
from include.retraining.training.training_claim import TrainingClaims
from tests.support.contexts import MakeContext


@pytest.fixture
def store(folder_store: Store, store_is: Callable[..., None]) -> Store:
    """An initialised store that the Airflow connection names."""
    store_is(folder_store.uri)
    return store_marker.initialise(folder_store.uri)


@pytest.fixture
def manifest(store: Store, planned: dict[str, Any]) -> RunManifest:
    """The plan of the task's run."""
    return read_manifest(store, run_reference(planned).paths)


@pytest.fixture
def other(store: Store, manifest: RunManifest) -> Iterator[None]:
    """Another run, which trains that version."""
    claims = TrainingClaims(store, manifest.model, manifest.version, beat_seconds=3600)
    with claims.hold(run_id="backfill__1", plan="another", attempt="0-1"):
        while (held := claims.current()) is None or held.beat == 0:
            pass
        yield


@pytest.fixture
def no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that a job would leave, if one were started; it says that another run trains."""
    stub, mark = tmp_path / "python", tmp_path / "started"
    stub.write_text(
        textwrap.dedent(f"""\
            #!{sys.executable}
            import pathlib, sys
            pathlib.Path({str(mark)!r}).touch()
            print("train failed (training_elsewhere): run backfill__1 trains this very version")
            sys.exit(75)
            """)
    )
    stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(stub))
    monkeypatch.setenv(SWITCH, "off")
    return mark


def task(step: Any = "train") -> LocalJobOperator:
    """The task of one step."""
    return LocalJobOperator(task_id="train_model", step=step, compute=LocalCompute())


def wait_of(operator: LocalJobOperator, context: MakeContext, **seen: int) -> dict[str, int]:
    """Let a task begin, or look again, and return what it remembers while it waits."""
    begin = partial(operator.look_at_training, **seen) if seen else operator.begin
    with pytest.raises(TaskDeferred) as deferred:
        begin(context)
    assert deferred.value.method_name == "look_at_training"
    assert deferred.value.kwargs is not None
    return deferred.value.kwargs


def test_no_job_is_started_while_another_run_trains(
    planned: dict[str, Any], other: None, no_job: Path
) -> None:
    """The task defers before it starts anything, on every backend alike."""
    seen = wait_of(task(), planned)
    assert seen == {"claim": 1, "beat": 1, "looks": 1}
    assert not no_job.exists()


def test_a_silent_claim_is_left_to_a_job_to_judge(
    planned: dict[str, Any], other: None, no_job: Path
) -> None:
    """A beat that stands still is watched a few times, then a job looks for itself."""
    seen = wait_of(task(), planned)
    for looks in range(2, MAX_SILENT_POLLS + 1):
        seen = wait_of(task(), planned, **seen)
        assert seen["looks"] == looks
    assert not no_job.exists()
    # The job finds the other alive after all: the task waits again, and has not failed.
    assert wait_of(task(), planned, **seen) == {"claim": 0, "beat": 0, "looks": 0}
    assert no_job.exists()


def test_a_beat_that_goes_on_is_waited_for(
    planned: dict[str, Any], other: None, no_job: Path
) -> None:
    """However long another run trains, its beat begins the patience anew."""
    assert wait_of(task(), planned, claim=1, beat=0, looks=MAX_SILENT_POLLS)["looks"] == 1
    assert not no_job.exists()


def test_other_steps_wait_for_nobody(planned: dict[str, Any], other: None) -> None:
    """What does not train is started whoever trains."""
    with pytest.raises(AirflowFailException, match="'train' left no result"):
        task("evaluate").begin(planned)
