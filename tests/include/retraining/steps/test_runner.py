from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import include.retraining
from include.retraining.exceptions import (
    ConfigError,
    DataRejected,
    EvidenceError,
    NotFound,
    StorageError,
    StoreNotInitialised,
)
from include.retraining.runs.job import cost, open_job
from include.retraining.runs.manifest import RunManifest
from include.retraining.runs.process import process_started
from include.retraining.runs.results import StepFailure, find_result, read_result
from include.retraining.steps import runner
from include.retraining.steps import validate as validation
from include.retraining.steps.runner import run_steps
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store
from tests.support import apples
from tests.support.apples import deliver, paths_of, plan

pytest_plugins = ("tests.support.apples_fixtures",)

ROOT = Path(include.retraining.__file__).parent.parent.parent


def uri_of(store: Store, manifest: RunManifest) -> str:
    """The address that a job is started with."""
    return paths_of(manifest).uri(store.uri)


def failure_of(store: Store, manifest: RunManifest, step: str = "validate") -> StepFailure:
    """What the last failed attempt left."""
    key = paths_of(manifest).failure(step)
    return StepFailure.from_bytes(store.read(key), where=key)


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make the step `validate` fail."""

    def fail(job: Any) -> None:
        raise error

    monkeypatch.setattr(validation, "validate", fail)


def test_a_step_leaves_its_evidence(apples_store: Store, capfd: pytest.CaptureFixture[str]):
    """A job that exits with 0 left a result that verifies."""
    deliver(apples_store)
    manifest = plan(apples_store)
    assert run_steps(["validate"], uri_of(apples_store, manifest), "0-1") == 0
    result = read_result(apples_store, paths_of(manifest), manifest, "validate")
    assert result.rows == 200
    assert result.cost.seconds > 0
    assert result.cost.peak_memory_bytes > 10**7
    assert capfd.readouterr().err == ""


def test_a_step_is_done_once(
    apples_folder: Store, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """A retried or cleared step whose verified result is there does nothing."""
    deliver(apples_folder)
    manifest = plan(apples_folder)
    uri = uri_of(apples_folder, manifest)
    assert run_steps(["validate"], uri, "0-1") == 0
    before = apples_folder.read(paths_of(manifest).result("validate"))
    failing(monkeypatch, AssertionError("done twice"))
    assert run_steps(["validate"], uri, "0-2") == 0
    assert capfd.readouterr().out == "validate: already done and verified\n"
    assert apples_folder.read(paths_of(manifest).result("validate")) == before


def test_a_step_whose_result_does_not_verify_is_done_again(
    apples_folder: Store, capfd: pytest.CaptureFixture[str]
):
    """Clearing a task mends a result that was damaged."""
    deliver(apples_folder)
    manifest = plan(apples_folder)
    apples_folder.write(paths_of(manifest).result("validate"), b"{")
    assert run_steps(["validate"], uri_of(apples_folder, manifest), "0-2") == 0
    assert "is no evidence" in capfd.readouterr().out
    assert read_result(apples_folder, paths_of(manifest), manifest, "validate").rows == 200


@pytest.mark.parametrize(
    ("error", "exit_code", "kind"),
    [
        (DataRejected("bad data"), 1, "data_rejected"),
        (EvidenceError("bad evidence"), 1, "evidence"),
        (StorageError("no answer"), 75, "storage"),
        (StoreNotInitialised("no marker"), 1, "store_not_initialised"),
        (MemoryError("no more"), 75, "out_of_memory"),
        (pa.ArrowMemoryError("no more"), 75, "out_of_memory"),
        (RuntimeError("can't start new thread"), 75, "out_of_memory"),
        (OSError(28, "No space left on device", "/tmp/x"), 75, "disk_full"),
        (OSError("Error writing bytes: No space left on device"), 75, "disk_full"),
        (StorageError("put failed: No space left on device (os error 28)"), 75, "disk_full"),
        (ZeroDivisionError("division by\nzero"), 1, "error"),
    ],
)
def test_a_failure_is_told_in_the_log_in_the_store_and_by_the_exit_code(
    apples_folder: Store,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    error: Exception,
    exit_code: int,
    kind: str,
):
    """The kind says whether another try may help, and no result is left."""
    deliver(apples_folder)
    manifest = plan(apples_folder)
    failing(monkeypatch, error)
    assert run_steps(["validate"], uri_of(apples_folder, manifest), "0-1") == exit_code
    failure = failure_of(apples_folder, manifest)
    assert (failure.kind, failure.attempt, failure.run_id) == (kind, "0-1", "manual__1")
    assert failure.is_permanent == (exit_code == 1)
    assert "\n" not in failure.message
    last_line = capfd.readouterr().err.splitlines()[-1]
    assert last_line == f"validate failed ({kind}): {failure.message}"
    assert find_result(apples_folder, paths_of(manifest), manifest, "validate") is None


def test_what_an_unforeseen_exception_says_stays_in_the_log(
    apples_folder: Store, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """People are told the type and our own line; the text, which may hold a cell, the log."""
    deliver(apples_folder)
    manifest = plan(apples_folder)
    monkeypatch.setattr(validation, "holdout_mask", lambda frame, config: float("Jane Doe"))
    assert run_steps(["validate"], uri_of(apples_folder, manifest), "0-1") == 1
    message = failure_of(apples_folder, manifest).message
    place = r"ValueError at include/retraining/steps/validate\.py line \d+, in validate"
    assert re.match(place, message)
    assert "Jane" not in message
    assert "could not convert string to float: 'Jane Doe'" in capfd.readouterr().err


def test_what_a_library_said_of_a_refused_file_stays_in_the_log(
    apples_folder: Store, capfd: pytest.CaptureFixture[str]
):
    """A refusal in our own words has the parser's words beside it in the log only."""
    deliver(apples_folder, name="data.parquet")
    apples_folder.write(f"{apples.FOLDER}/data.parquet", b"no Parquet")
    apples_folder.write(apples.FLAG, b"")
    manifest = plan(apples_folder)
    assert run_steps(["validate"], uri_of(apples_folder, manifest), "0-1") == 1
    log = capfd.readouterr().err
    assert "validate: because of ArrowInvalid: " in log
    assert "is it Parquet at all?" in failure_of(apples_folder, manifest).message
    assert "Arrow" not in failure_of(apples_folder, manifest).message


def test_a_later_success_follows_a_failure(apples_folder: Store, monkeypatch: pytest.MonkeyPatch):
    """A failed attempt does not stand in the way of the next, and tells which it was."""
    deliver(apples_folder)
    manifest = plan(apples_folder)
    uri = uri_of(apples_folder, manifest)
    with monkeypatch.context() as patched:
        failing(patched, StorageError("no answer"))
        assert run_steps(["validate"], uri, "0-1") == 75
    assert run_steps(["validate"], uri, "0-2") == 0
    assert failure_of(apples_folder, manifest).attempt == "0-1"


def test_refused_data_is_told_with_every_violation(
    apples_folder: Store, capfd: pytest.CaptureFixture[str]
):
    """A contract violation fails the step at once and for good; the last line tells it all."""
    deliver(apples_folder, apples.harvest().assign(weight=999.0, stranger=1))
    manifest = plan(apples_folder)
    assert run_steps(["validate"], uri_of(apples_folder, manifest), "0-1") == 1
    told = capfd.readouterr().err.splitlines()
    message = (
        "the data breaks its contract in 2 ways: (1) the contract does not know column 7 of the "
        "file, and allows no others; (2) weight: less_than_or_equal_to(500): 200 rows, for example "
        "key 0, 1, 2, 3, 4"
    )
    assert told == [f"validate failed (data_rejected): {message}"]
    assert failure_of(apples_folder, manifest).kind == "data_rejected"
    assert failure_of(apples_folder, manifest).message == message


@pytest.mark.fault("B13")
def test_other_code_than_planned_is_refused(
    apples_folder: Store, apples_file: Path, capsys: pytest.CaptureFixture[str]
):
    """A job of another commit does nothing, not even to say that all is done."""
    deliver(apples_folder)
    manifest = plan(apples_folder)
    uri = uri_of(apples_folder, manifest)
    assert run_steps(["validate"], uri, "0-1") == 0
    apples_file.write_text(apples.CODE + "# other\n")
    assert run_steps(["validate"], uri, "0-2") == 1
    assert re.search(r"include/models/apples\.py changed .*abc123", capsys.readouterr().err)
    assert failure_of(apples_folder, manifest).kind == "code_changed"


def test_a_job_works_with_the_planned_configuration(apples_folder: Store):
    """What the YAML says now does not matter to a run that was planned."""
    deliver(apples_folder)
    manifest = plan(apples_folder, **{"data.min_rows": 150})
    job = open_job(uri_of(apples_folder, manifest), "0-1")
    assert job.config.data.min_rows == 150
    assert job.config == apples.config({"data.min_rows": 150})


@pytest.mark.parametrize("attempt", ["", "../x", "a b", "a/b", ".hidden", "x" * 65, "a\n"])
def test_an_attempt_is_a_plain_word(apples_folder: Store, attempt: str):
    """The word names a folder, so it may not lead anywhere else."""
    deliver(apples_folder)
    uri = uri_of(apples_folder, plan(apples_folder))
    with pytest.raises(EvidenceError, match="--attempt"):
        open_job(uri, attempt)


def test_an_address_that_is_no_run_is_told(
    apples_folder: Store, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """A wrong address, an unplanned run and an uninitialised store are told apart."""
    with pytest.raises(ConfigError, match="must be STORE/models/NAME/runs/RUN"):
        open_job("file:///tmp/nowhere", "0-1")
    with pytest.raises(NotFound, match="no such run"):
        open_job(RunPaths("apples", "nothing").uri(apples_folder.uri), "0-1")
    (tmp_path / "bare").mkdir()
    bare = RunPaths("apples", "nothing").uri(f"file://{tmp_path / 'bare'}")
    with pytest.raises(StoreNotInitialised):
        open_job(bare, "0-1")
    assert run_steps(["validate"], bare, "0-1") == 1
    assert "validate failed (store_not_initialised): " in capfd.readouterr().err


def test_a_store_that_fails_while_failing_is_told_too(
    apples_folder: Store, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """When even the failure cannot be written down, both reasons are in the log."""
    deliver(apples_folder)
    manifest = plan(apples_folder)
    failing(monkeypatch, DataRejected("bad data"))

    def refuse(self: Store, key: str, data: bytes) -> None:
        raise StorageError("disk full")

    monkeypatch.setattr(Store, "write", refuse)
    assert run_steps(["validate"], uri_of(apples_folder, manifest), "0-1") == 1
    assert "bad data (nor could this be written down: disk full)" in capfd.readouterr().err


def test_a_card_needs_a_verdict(apples_folder: Store):
    """There is nothing to show before the gate has spoken."""
    deliver(apples_folder)
    manifest = plan(apples_folder)
    with pytest.raises(EvidenceError, match="has no verdict"):
        runner._newest_verdict(apples_folder, paths_of(manifest))


def test_the_cost_counts_from_the_start_of_the_process(apples_folder: Store):
    """Time spent on imports before the step is part of what it cost."""
    deliver(apples_folder)
    job = open_job(uri_of(apples_folder, plan(apples_folder)), "0-1")
    running = subprocess.run(
        ["ps", "-o", "etimes=", "-p", str(os.getpid())], check=True, capture_output=True, text=True
    )
    assert abs(cost(job).seconds - float(running.stdout)) < 3
    assert process_started() == pytest.approx(job.started, abs=0.1)


@pytest.mark.fault("C02")
def test_real_memory_exhaustion_is_told(apples_folder: Store, tmp_path: Path):
    """A job that may not have more memory says so, and may be tried again (C02)."""
    deliver(apples_folder)
    manifest = plan(apples_folder)
    uri = uri_of(apples_folder, manifest)
    code = f"""
        import resource, sys
        import include.models
        include.models.__path__.append({str(tmp_path / "models")!r})
        import include.retraining.steps.validate as validation
        from include.retraining.steps.runner import run_steps

        def greedy(job):
            resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
            return bytearray(2**40)

        validation.validate = greedy
        sys.exit(run_steps(["validate"], {uri!r}, "0-1"))
        """
    done = subprocess.run(  # noqa: PLW1510 the exit code is what the test is about
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 75, done.stderr
    assert "validate failed (out_of_memory): out of memory: give the step more" in done.stderr
    assert failure_of(apples_folder, manifest).kind == "out_of_memory"


def is_running(pid: int) -> bool:
    """Whether a process is there and not only waits to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(*pids: int) -> bool:
    """Wait until none of some processes is running."""
    deadline = time.monotonic() + 60
    while any(map(is_running, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


PARENT_OF_A_JOB = """
import subprocess, sys, time
job = '''
import subprocess, sys, time
from include.retraining.runs.process import die_with_parent
die_with_parent()
child = subprocess.Popen(["sleep", "600"])
print(child.pid, flush=True)
time.sleep(600)
'''
process = subprocess.Popen([sys.executable, "-c", job], stdin=subprocess.PIPE)
print(process.pid, flush=True)
time.sleep(600)
"""


def test_a_job_ends_with_its_parent_and_takes_its_children_along():
    """However the parent goes, SIGKILL included, neither job nor grandchild is left."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT_OF_A_JOB], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pids = [int(parent.stdout.readline()) for _ in range(2)]
    try:
        assert all(map(is_running, pids))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert wait_until_gone(*pids)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
        for pid in filter(is_running, pids):
            os.kill(pid, signal.SIGKILL)


def test_the_command_runs_a_step_of_a_shipped_model(apples_folder: Store, tmp_path: Path):
    """`python -m include.retraining validate` does what a job does, options in the environment."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(as_frame=True, scaled=False).frame
    data = data.rename(columns={"target": "progression"}).rename_axis("patient_id").reset_index()
    from datetime import UTC, datetime

    from include.retraining.config.model import load_model
    from include.retraining.runs.manifest import Params, TriggeredBy
    from include.retraining.steps.plan import plan_run

    folder = "landing/diabetes_progression"
    apples_folder.write(f"{folder}/data.csv", data.to_csv(index=False).encode())
    apples_folder.write(f"{folder}/ready.flag", b"")
    manifest = plan_run(
        apples_folder,
        load_model("diabetes_progression"),
        dag_id="retrain_diabetes_progression",
        run_id="manual__1",
        run_after=datetime(2026, 11, 24, tzinfo=UTC),
        params=Params(date=apples.DAY),
        cause=TriggeredBy(run_type="manual"),
    )
    command = [sys.executable, "-m", "include.retraining", "validate"]
    command += ["--run", uri_of(apples_folder, manifest), "--attempt", "0-1", "--watch-parent"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        told = process.stderr.read()
        assert process.wait(timeout=120) == 0, told
    result = read_result(apples_folder, paths_of(manifest), manifest, "validate")
    assert result.rows == len(data) == result.train_rows + result.holdout_rows
    assert result.label_rate is None
    assert isinstance(pd.Timestamp(result.finished_at), pd.Timestamp)
