"""What is killed, stopped or refused while a model trains, is judged or promoted on the worker.

One real Airflow; each fault has a model of its own. Models whose name begins with `once_` are tried
once only, so that the fault is the end of their run.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from include.retraining.decisions.record import DecisionRecord, Outcome
from tests.support.airflow_harness import Stage, is_alive, replace_text
from tests.support.repository_copy import add_model, copy_repository
from tests.support.scenes import (
    PROMOTED,
    check_task_states,
    never_ending,
    patients,
    stopped_at,
    waiting_for,
)

pytestmark = [pytest.mark.airflow, pytest.mark.rare]

WAITING = (
    "killed",
    "orphaned",
    "once_killed",
    "once_told_to_end",
    "once_job_told_to_end",
    "once_marked",
    "once_orphaned",
    "scheduler_lost",
    "scheduler_restarted",
    "api_lost",
)
PROMOTING = ("stopped_promoter", "marked_promoter", "orphaned_promoter")


@pytest.fixture(scope="module")
def switches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder; a model trains once a file of its name is there."""
    return tmp_path_factory.mktemp("switches")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, switches: Path) -> Path:
    """A copy of the repository with a model for each fault, and places where it can be held."""
    root = copy_repository(tmp_path_factory.mktemp("repository"))
    for name in WAITING:
        add_model(root, name, code=waiting_for(switches / name))
    for name in PROMOTING:
        add_model(root, name)
    endless = {"compute": {"train_model": {"timeout_seconds": 20}}}
    add_model(root, "once_endless", values=endless, code=never_ending)
    replace_text(
        root / "dags/retrain_pipeline.py",
        '"retries": 2,',
        '"retries": 0 if config.name.startswith("once_") else 2,',
    )
    hold_promotions(root, switches)
    return root


def hold_promotions(root: Path, switches: Path) -> None:
    """Let a promoter wait right before its write while `hold-MODEL` is there."""
    replace_text(
        root / "include/retraining/registry/promotion.py",
        "        if not self.store.create(key, data):\n",
        "        import time\n"
        "        from pathlib import Path\n\n"
        f"        hold = Path({str(switches)!r}) / f'hold-{{self.model}}'\n"
        "        if hold.exists():\n"
        "            hold.with_name(f'reached-{self.model}').touch()\n"
        "        while hold.exists():\n"
        "            time.sleep(0.02)\n"
        "        if not self.store.create(key, data):\n",
    )


def training(airflow: Stage, model: str) -> tuple[str, psutil.Process, psutil.Process]:
    """Start a run and wait until it trains; return the run, the task's process and the job's."""
    airflow.land(model, patients())
    run_id = airflow.start_run(model)
    job = airflow.job_process(model, run_id, "train_model")
    return run_id, airflow.task_process(model, run_id, "train_model"), job


def check_one_version(airflow: Stage, model: str, run_id: str, *, clear: int = 0) -> DecisionRecord:
    """The run ended as promoted: one version, one promotion, one message, and all is sound."""
    check_task_states(airflow.wait_for_end(model, run_id, 600), PROMOTED)
    record = airflow.record(model, run_id, clear=clear)
    assert record.outcome is Outcome.PROMOTED
    assert airflow.store.children(f"models/{model}/versions")[0] == [record.version]
    assert [entry.version for entry in airflow.promotions(model)] == [record.version]
    airflow.check_told_once(record, "promoted")
    airflow.check_invariants(model, record)
    return record


def check_one_failure(airflow: Stage, model: str, run_id: str, task: str) -> DecisionRecord:
    """The run is red and recorded as broken, one message says so, and nothing was promoted."""
    check_task_states(airflow.wait_for_end(model, run_id, 600), stopped_at(task))
    record = airflow.record(model, run_id)
    assert (record.outcome, record.failed_task) == (Outcome.FAILED, task)
    airflow.check_told_once(record, record.reason.split(":")[0])
    assert airflow.promotions(model) == []
    assert made_versions(airflow, model) == []
    airflow.check_invariants(model, record)
    return record


def made_versions(airflow: Stage, model: str) -> list[str]:
    """Return the versions of a model that have a manifest: the others do not exist."""
    folder = f"models/{model}/versions"
    found = airflow.store.children(folder)[0]
    return [name for name in found if airflow.store.exists(f"{folder}/{name}/manifest.json")]


@pytest.mark.fault("C01")
def test_a_killed_task_leaves_one_version(airflow: Stage, switches: Path) -> None:
    """SIGKILL to the task: its job dies with it and leaves no version; the next try makes one."""
    run_id, task, job = training(airflow, "killed")
    airflow.kill(task)
    airflow.wait_for_no_process(job)
    assert made_versions(airflow, "killed") == []
    (switches / "killed").touch()
    check_one_version(airflow, "killed", run_id)


def kill_task(airflow: Stage, run_id: str, task: psutil.Process, job: psutil.Process) -> None:
    """End the task's process at once."""
    airflow.kill(task)


def end_task(airflow: Stage, run_id: str, task: psutil.Process, job: psutil.Process) -> None:
    """Ask the task's process to end."""
    airflow.kill(task, signal.SIGTERM)


def end_job(airflow: Stage, run_id: str, task: psutil.Process, job: psutil.Process) -> None:
    """Ask the job's process to end."""
    airflow.kill(job, signal.SIGTERM)


def mark_failed(airflow: Stage, run_id: str, task: psutil.Process, job: psutil.Process) -> None:
    """Mark the task failed, as a person does in the UI."""
    airflow.api.set_task_state("retrain_once_marked", run_id, "train_model", "failed")


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        pytest.param("once_killed", kill_task, marks=pytest.mark.fault("C01", "H05")),
        pytest.param("once_told_to_end", end_task, marks=pytest.mark.fault("C03", "H05")),
        pytest.param("once_job_told_to_end", end_job, marks=pytest.mark.fault("C03")),
        pytest.param("once_marked", mark_failed, marks=pytest.mark.fault("H05")),
    ],
)
def test_the_end_of_a_task_is_told_once(
    airflow: Stage,
    model: str,
    fault: Callable[[Stage, str, psutil.Process, psutil.Process], None],
) -> None:
    """However the only try of the training ended: the run is red, and one message says so."""
    run_id, task, job = training(airflow, model)
    fault(airflow, run_id, task, job)
    airflow.wait_for_no_process(task, job)
    check_one_failure(airflow, model, run_id, "train_model")


@pytest.mark.fault("C04")
def test_a_killed_supervisor_leaves_no_second_trainer(airflow: Stage, switches: Path) -> None:
    """The orphan ends itself, a retry trains, and there is one version and one message."""
    run_id, task, job = training(airflow, "orphaned")
    airflow.kill(airflow.supervisor("orphaned", run_id, "train_model"))
    airflow.wait_for_no_process(task, job)
    (switches / "orphaned").touch()
    check_one_version(airflow, "orphaned", run_id)


@pytest.mark.fault("C04")
def test_a_killed_supervisor_leaves_no_second_promoter(airflow: Stage, switches: Path) -> None:
    """Held right before its write, the promoter dies with its supervisor; the next try promotes."""
    model = "orphaned_promoter"
    run_id, promoter = promoting(airflow, switches, model)
    airflow.kill(airflow.supervisor(model, run_id, "deploy_model"))
    airflow.wait_for_no_process(promoter, timeout_seconds=5)
    (switches / f"hold-{model}").unlink()
    check_one_version(airflow, model, run_id)


@pytest.mark.fault("H06")
def test_callbacks_that_come_twice_tell_once(airflow: Stage) -> None:
    """Airflow calls back twice for a task whose supervisor was killed: there is one message."""
    run_id, *_ = training(airflow, "once_orphaned")
    airflow.kill(airflow.supervisor("once_orphaned", run_id, "train_model"))
    check_one_failure(airflow, "once_orphaned", run_id, "train_model")


@pytest.mark.fault("C08")
def test_an_endless_training_is_ended(airflow: Stage) -> None:
    """It ignores SIGTERM, and so does its child: both are gone in time; the message says why."""
    run_id, _, job = training(airflow, "once_endless")
    (child,) = airflow.wait_for(job.children, "child of the job", pause_seconds=0.05)
    record = check_one_failure(airflow, "once_endless", run_id, "train_model")
    assert not is_alive(job)
    assert not is_alive(child)
    assert "took longer than 20 s" in record.reason
    airflow.wait_for_message(record.run, "took longer than 20 s")


def promoting(airflow: Stage, switches: Path, model: str) -> tuple[str, psutil.Process]:
    """Start a run, wait until its promoter is about to write, and return both."""
    (switches / f"hold-{model}").touch()
    airflow.land(model, patients())
    run_id = airflow.start_run(model)
    airflow.wait_for((switches / f"reached-{model}").exists, "promoter", 300)
    return run_id, airflow.task_process(model, run_id, "deploy_model")


@pytest.mark.fault("G17")
def test_a_promoter_that_was_written_off_promotes_nothing_twice(
    airflow: Stage, switches: Path
) -> None:
    """It stands still until Airflow has failed it and the next try promoted, and then goes on."""
    model = "stopped_promoter"
    run_id, promoter = promoting(airflow, switches, model)
    supervisor = airflow.supervisor(model, run_id, "deploy_model")
    for process in (supervisor, promoter):
        airflow.kill(process, signal.SIGSTOP)
    (switches / f"hold-{model}").unlink()
    before = check_one_version(airflow, model, run_id)
    for process in (promoter, supervisor):
        airflow.kill(process, signal.SIGCONT)
    airflow.wait_for_no_process(promoter)
    assert check_one_version(airflow, model, run_id) == before


@pytest.mark.fault("G17")
def test_a_promotion_after_the_run_failed_is_told(airflow: Stage, switches: Path) -> None:
    """The run was marked failed and told as broken; then its promoter writes: that is told too."""
    model = "marked_promoter"
    run_id, promoter = promoting(airflow, switches, model)
    supervisor = airflow.supervisor(model, run_id, "deploy_model")
    airflow.kill(supervisor, signal.SIGSTOP)  # nobody ends the promoter
    airflow.api.set_task_state(f"retrain_{model}", run_id, "deploy_model", "failed")
    airflow.wait_for_end(model, run_id)
    told = airflow.record(model, run_id)
    assert told.outcome is Outcome.FAILED
    airflow.wait_for_message(told.run, "broke")
    (switches / f"hold-{model}").unlink()
    airflow.wait_for(lambda: airflow.promotions(model), "the late promotion")
    airflow.kill(supervisor, signal.SIGCONT)
    airflow.wait_for_no_process(promoter)
    record = airflow.record(model, run_id)
    assert record.outcome is Outcome.PROMOTED
    assert "recorded as failed before it was promoted" in record.reason
    assert len(airflow.promotions(model)) == 1
    airflow.wait_for_message(record.run, "promoted")
    airflow.check_invariants(model, record)


@pytest.mark.fault("I01", "H05")
def test_a_restarted_scheduler_ends_with_one_version(airflow: Stage, switches: Path) -> None:
    """The machine's whole scheduler is gone with its tasks; the next one trains once more."""
    model = "scheduler_restarted"
    run_id, task, job = training(airflow, model)
    airflow.airflow.kill_component("scheduler")
    assert not is_alive(task)
    airflow.wait_for_no_process(job)
    airflow.airflow.start_component("scheduler")
    (switches / model).touch()
    check_one_version(airflow, model, run_id)


@pytest.mark.fault("I01")
def test_a_lost_scheduler_leaves_one_trainer(airflow: Stage, switches: Path) -> None:
    """Only its main process is killed: what it had started goes on, until it is written off."""
    model = "scheduler_lost"
    run_id, task, job = training(airflow, model)
    airflow.airflow.lose_component("scheduler")
    assert is_alive(job)
    airflow.airflow.start_component("scheduler")
    airflow.wait_for_no_process(task, job, timeout_seconds=180)
    (switches / model).touch()
    check_one_version(airflow, model, run_id)


@pytest.mark.fault("I02")
def test_a_lost_api_server_leaves_one_trainer(airflow: Stage, switches: Path) -> None:
    """Without the API server the supervisor gives up and ends the job; then all goes on."""
    model = "api_lost"
    run_id, task, job = training(airflow, model)
    airflow.airflow.kill_component("api-server")
    airflow.wait_for_no_process(task, job, timeout_seconds=180)
    airflow.airflow.start_component("api-server")
    airflow.airflow.wait_for_health()
    (switches / model).touch()
    ended = airflow.wait_for_end(model, run_id, 600)
    record = airflow.record(model, run_id)
    if ended.state == "failed":  # no try was left when the server came back
        check_one_failure(airflow, model, run_id, "train_model")
        airflow.clear(model, run_id, "train_model")
        record = airflow.record(model, run_id, clear=1, timeout_seconds=120)
    check_one_version(airflow, model, run_id, clear=record.clear)
