"""Tests of the job operator: real child processes, and the evidence they leave or do not leave."""

from __future__ import annotations

import json
import os
import signal
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.orchestration.backends.local import operator
from include.orchestration.backends.local.operator import LocalJobOperator
from include.orchestration.backends.local.warm_start import SWITCH
from include.orchestration.runtime.run_reference import run_reference
from include.retraining.config.step_compute import LocalCompute
from include.retraining.exceptions import JobKilled, StepFailed
from include.retraining.runs.manifest import read_manifest
from include.retraining.runs.results import StepFailure, read_result
from include.retraining.store import marker as store_marker
from include.retraining.store.layout import profile_key
from include.retraining.store.object_store import Store

StubJob = Callable[[str], None]


@pytest.fixture
def store(folder_store: Store, store_is: Callable[..., None]) -> Store:
    """An initialised store that the Airflow connection names, with a secret."""
    store_is(folder_store.uri, extra={"options": {"SECRET_OPTION": "for the job"}})
    return store_marker.initialise(folder_store.uri)


@pytest.fixture(params=["", "off"], ids=["warm", "from scratch"])
def stub_job(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> StubJob:
    """Put a program in the place of what a job runs, forked from a warm parent and from scratch."""
    monkeypatch.setenv(SWITCH, request.param)

    def install(program: str) -> None:
        package = tmp_path / "bundle/include/retraining"
        package.mkdir(parents=True)
        preface = (
            "import json, os, signal, sys, time\nRUN = sys.argv[sys.argv.index('--run') + 1]\n"
        )
        (package / "__main__.py").write_text(preface + textwrap.dedent(program))
        monkeypatch.setattr(operator, "assert_own_bundle", lambda _context: tmp_path / "bundle")

    return install


def job(**compute: Any) -> LocalJobOperator:
    """The operator of one step."""
    return LocalJobOperator(task_id="train_model", step="train", compute=LocalCompute(**compute))


@pytest.mark.parametrize("switch", ["", "off"], ids=["warm", "from scratch"])
def test_a_step_leaves_evidence(
    store: Store,
    planned: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    switch: str,
) -> None:
    """The real validation runs as a child, shows what it does, and its result verifies."""
    monkeypatch.setenv(SWITCH, switch)
    LocalJobOperator(task_id="validate_data", step="validate", compute=LocalCompute()).execute(
        planned
    )
    paths = run_reference(planned).paths
    result = read_result(store, paths, read_manifest(store, paths), "validate")
    assert result.rows == 442
    assert "include.retraining validate --run" in capsys.readouterr().out
    assert caplog.text.count(f"the job starts from scratch: {SWITCH} is off") == bool(switch)


def test_without_a_champion_there_is_no_process_to_grade_it(
    store: Store, planned: dict[str, Any], stub_job: StubJob
) -> None:
    """A profile that is there, and no champion: no process is started to find that out."""
    stub_job("sys.exit(1)")
    plan = read_manifest(store, run_reference(planned).paths)
    store.create(profile_key(plan.model, plan.version), b"{}")
    LocalJobOperator(task_id="grade_champion", step="grade", compute=LocalCompute()).execute(
        planned
    )


@pytest.mark.fault("C06")
def test_exit_0_is_no_evidence(planned: dict[str, Any], stub_job: StubJob) -> None:
    """A job that ends well and leaves nothing fails the task, without a retry (C06)."""
    stub_job("print('all is well')")
    with pytest.raises(AirflowFailException, match="'train' left no result"):
        job().execute(planned)


@pytest.mark.fault("C06")
def test_anothers_result_is_no_evidence(
    store: Store, planned: dict[str, Any], stub_job: StubJob
) -> None:
    """A result of another run fails the task."""
    stub_job("")
    LocalJobOperator(task_id="validate_data", step="validate", compute=LocalCompute())
    key = run_reference(planned).paths.result("train")
    store.write(key, b'{"step": "train"}')
    with pytest.raises(AirflowFailException, match=r"train\.json"):
        job().execute(planned)


@pytest.mark.fault("C10", "L07")
def test_the_jobs_environment_is_an_allow_list(
    store: Store,
    planned: dict[str, Any],
    stub_job: StubJob,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """No Airflow setting, connection or cloud key of the worker reaches a job (C10, L07)."""
    for name in (
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "AIRFLOW_CONN_OTHER",
        "AWS_SECRET_ACCESS_KEY",
        "NVIDIA_API_KEY",
    ):
        monkeypatch.setenv(name, "canary")
    machine = {"LD_LIBRARY_PATH": "/opt/lib", "CUDA_VISIBLE_DEVICES": "1", "NVIDIA_GPUS": "all"}
    for name, value in machine.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TZ", "Europe/Paris")
    monkeypatch.setenv("SEEN", str(tmp_path / "seen.json"))  # must not arrive either
    stub_job(f"json.dump(dict(os.environ), open({str(tmp_path / 'seen.json')!r}, 'w'))")
    with pytest.raises(AirflowFailException):
        job(cpu=2).execute(planned)
    seen = json.loads((tmp_path / "seen.json").read_text())
    seen.pop("LC_CTYPE", None)  # Python's own, set at start
    threads = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT"}
    allowed = {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONUNBUFFERED"}
    options = {"RETRAINING_STORE", "RETRAINING_STORE_OPTIONS"}
    assert set(seen) <= allowed | threads | set(machine) | options
    assert machine.items() <= seen.items()
    assert {seen[name] for name in threads} == {"2"}
    assert seen["TZ"] == "Europe/Paris"
    assert seen["RETRAINING_STORE"] == store.uri
    assert json.loads(seen["RETRAINING_STORE_OPTIONS"]) == {"SECRET_OPTION": "for the job"}


@pytest.mark.fault("L01")
def test_what_a_job_prints_of_its_secrets_is_masked(
    planned: dict[str, Any], stub_job: StubJob, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before it is logged: Airflow's services repeat a task's log without masking it."""
    stub_job("print('max_tokens=4096', os.environ['RETRAINING_STORE_OPTIONS'])")
    with pytest.raises(AirflowFailException):
        job().execute(planned)
    said = capsys.readouterr().out
    assert "for the job" not in said
    assert 'max_tokens=4096 {"SECRET_OPTION": "***"}' in said


FAIL = """
path = RUN.removeprefix("file://") + "/train.failed.json"
json.dump({{"run_id": "x", "step": "train", "attempt": {attempt!r}, "kind": {kind!r},
           "is_permanent": {is_permanent}, "message": "the model said no"}}, open(path, "w"))
raise SystemExit({exit_code})
"""


def test_a_permanent_failure_is_not_retried(planned: dict[str, Any], stub_job: StubJob) -> None:
    """What the step said is the error, and Airflow does not try again."""
    stub_job(FAIL.format(attempt="0-1", kind="training", is_permanent=True, exit_code=1))
    with pytest.raises(AirflowFailException, match=r"^train: the model said no$"):
        job().execute(planned)


def test_an_infrastructure_failure_is_retried(planned: dict[str, Any], stub_job: StubJob) -> None:
    """The error is one that Airflow tries again."""
    stub_job(FAIL.format(attempt="0-1", kind="storage", is_permanent=False, exit_code=75))
    with pytest.raises(StepFailed, match=r"^train: the model said no$") as error:
        job().execute(planned)
    assert error.value.kind == "storage"


def test_an_older_attempts_word_is_not_this_ones(
    planned: dict[str, Any], stub_job: StubJob
) -> None:
    """What another attempt left behind is not taken for this one's reason."""
    stub_job(FAIL.format(attempt="0-0", kind="training", is_permanent=True, exit_code=75))
    with pytest.raises(StepFailed, match="ended with exit code 75"):
        job().execute(planned)


def test_a_job_that_could_not_open_the_store_says_why_in_its_last_line(
    planned: dict[str, Any], stub_job: StubJob
) -> None:
    """The line that a job prints when it fails is used when the store has nothing."""
    stub_job("print('train failed (code_changed): other code than planned'); sys.exit(1)")
    with pytest.raises(AirflowFailException, match=r"^train: other code than planned$"):
        job().execute(planned)


def test_any_other_last_line_stays_in_the_log(planned: dict[str, Any], stub_job: StubJob) -> None:
    """A traceback may hold values of the data: it is not repeated where people are told."""
    stub_job("raise ValueError('patient 17')")
    with pytest.raises(AirflowFailException, match="ended with exit code 1; the end of") as error:
        job().execute(planned)
    assert "patient" not in str(error.value)


@pytest.mark.fault("C02")
def test_a_killed_job_is_retried_and_leaves_word(
    store: Store, planned: dict[str, Any], stub_job: StubJob
) -> None:
    """SIGKILL: the error names memory, and so does what the run's callback will read (C01, C02)."""
    stub_job("os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(JobKilled, match="most likely out of memory"):
        job(memory="8GiB").execute(planned)
    key = run_reference(planned).paths.failure("train")
    failure = StepFailure.from_bytes(store.read(key), where=key)
    assert (failure.attempt, failure.kind) == ("0-1", "job_killed")
    assert "of 8 GiB allowed" in failure.message


@pytest.mark.fault("C11")
def test_a_long_output_is_cut_and_its_last_line_still_says_why(
    planned: dict[str, Any], stub_job: StubJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log takes what the setting allows, and the end of the output counts as before."""
    monkeypatch.setenv("RETRAINING_JOB_LOG_MIB", "1")
    stub_job(
        "for _ in range(300): print('x' * 10_000)\nprint('train failed (config): no seed')\nexit(1)"
    )
    with pytest.raises(AirflowFailException, match="train: no seed"):
        job().execute(planned)


@pytest.mark.fault("C08")
def test_an_endless_job_is_ended(planned: dict[str, Any], stub_job: StubJob) -> None:
    """The time limit is the model's, and the error says it (C08)."""
    stub_job("time.sleep(600)")
    with pytest.raises(JobKilled, match="train: took longer than 1 s"):
        job(timeout_seconds=1).execute(planned)


@pytest.mark.fault("C03")
def test_sigterm_never_ends_as_a_success(planned: dict[str, Any], stub_job: StubJob) -> None:
    """A job that ends with 0 because it was told to leaves a failed task (E3, C03)."""
    stub_job(
        f"""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        os.kill({os.getpid()}, signal.SIGUSR1)
        time.sleep(600)
        """
    )
    task = job()
    before = signal.signal(signal.SIGUSR1, lambda *_: task.on_kill())
    try:
        with pytest.raises(JobKilled, match="the task was killed"):
            task.execute(planned)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_kill_while_the_job_starts_ends_it(planned: dict[str, Any], stub_job: StubJob) -> None:
    """It is remembered until there is something to end: the job is no success."""
    stub_job("time.sleep(600)")
    task = job()
    task.on_kill()
    with pytest.raises(JobKilled, match="the task was killed"):
        task.execute(planned)
