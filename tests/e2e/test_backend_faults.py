"""What is killed, cleared or marked failed while a job runs elsewhere: one job at a time, no lie.

The faults of a running Airflow; `tests/include/orchestration/` has those that need none.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from include.retraining.decisions.record import Outcome
from tests.support.airflow_harness import is_alive
from tests.support.aws_batch_api import Fault
from tests.support.backend_models import (
    Platforms,
    everywhere,
    job_prefix,
    on_batch,
    on_kubernetes,
    on_lambda,
    platforms,
)
from tests.support.kubernetes_pods import Script
from tests.support.repository_copy import add_model, copy_repository
from tests.support.scenes import PROMOTED, check_task_states, patients, waiting_for

pytestmark = [pytest.mark.airflow, pytest.mark.rare]

BACKENDS = {
    "batch": everywhere(on_batch()),
    "kubernetes": everywhere(on_kubernetes()),
    "lambda": everywhere(on_lambda(timeout_seconds=300)),
}
FAULTS = ("triggerer", "worker", "marked", "cleared", "one_job")


@pytest.fixture(scope="module")
def switches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder; a model trains once a file of its name is there."""
    return tmp_path_factory.mktemp("switches")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, switches: Path) -> Iterator[Platforms]:
    """Airflow with all platforms and a model for each fault on each of them."""
    root = copy_repository(tmp_path_factory.mktemp("repository"))
    for backend, values in BACKENDS.items():
        for fault in FAULTS:
            name = f"{fault}_{backend}"
            more = {"one_job": True} if fault == "one_job" else {}
            compute = {"compute": {**values["compute"], **more}}
            add_model(root, name, values=compute, code=waiting_for(switches / name))
    add_model(root, "sigterm_kubernetes", values=BACKENDS["kubernetes"])
    folder = tmp_path_factory.mktemp("stage")
    with platforms(folder, root) as running:
        yield running


def training(here: Platforms, model: str) -> tuple[str, str, psutil.Process]:
    """Start a run and wait until its job trains; return run, job and the job's process."""
    here.airflow.land(model, patients())
    run_id = here.airflow.start_run(model)
    here.airflow.wait_for_task(model, run_id, "train_model", "deferred")
    name = here.airflow.wait_for(
        lambda: next((one for one in here.submissions(model) if "-train-" in one), None),
        f"submission of {model}",
    )
    return run_id, name, psutil.Process(here.process_of(name))


def has_ended(process: psutil.Process) -> Callable[[], bool]:
    """Return a condition: a process is gone."""
    return lambda: not is_alive(process)


def trained(here: Platforms, model: str) -> list[str]:
    """Return the names of the jobs that were submitted to train."""
    return [name for name in here.submissions(model) if "-train-" in name]


def check_one_version(here: Platforms, model: str, run_id: str, *, clear: int = 0) -> None:
    """One version by one attempt, one promotion, one message."""
    record = here.airflow.record(model, run_id, clear=clear)
    folders, _ = here.airflow.store.children(f"models/{model}/versions")
    assert len(folders) == 1
    assert [entry.version for entry in here.airflow.promotions(model)] == [record.version]
    here.airflow.check_told_once(record, "promoted")
    here.airflow.check_invariants(model, record)


def check_broken(here: Platforms, model: str, run_id: str) -> None:
    """Nothing was promoted, and one message says that the run broke."""
    record = here.airflow.record(model, run_id)
    assert record.outcome is Outcome.FAILED
    assert here.airflow.promotions(model) == []
    here.airflow.check_told_once(record, "the run broke")
    here.airflow.check_invariants(model, record)


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("batch", marks=pytest.mark.fault("D01")),
        pytest.param("kubernetes", marks=pytest.mark.fault("K02")),
        pytest.param("lambda", marks=pytest.mark.fault("D01")),
    ],
)
def test_a_killed_worker_submits_once(here: Platforms, switches: Path, backend: str) -> None:
    """It is killed when its job is there and it does not know that yet: the next try adopts it."""
    model = f"worker_{backend}"
    let_go = hold_training(here, model, backend)
    here.airflow.land(model, patients())
    run_id = here.airflow.start_run(model)
    here.airflow.wait_for(lambda: trained(here, model), "the submission", 120)
    here.airflow.kill(here.airflow.task_process(model, run_id, "train_model"))
    let_go()
    here.airflow.wait_for_task(model, run_id, "train_model", "deferred")
    (switches / model).touch()
    check_task_states(here.airflow.wait_for_end(model, run_id, 600), PROMOTED)
    assert len(trained(here, model)) == 1
    assert here.airflow.api.tasks(f"retrain_{model}", run_id)["train_model"]["try_number"] > 1
    check_one_version(here, model, run_id)


def hold_training(here: Platforms, model: str, backend: str) -> Callable[[], None]:
    """Let the job that trains be accepted without an answer; return what lets the answer go."""
    if backend != "kubernetes":
        operation = "SubmitJob" if backend == "batch" else "Invoke"
        fault = Fault(operation, "hold", about=f"{job_prefix(model)}train-")
        (here.batch if backend == "batch" else here.functions).faults.append(fault)
        return fault.let_go.set
    here.kubernetes.scripts.append(Script("hold", pods=f"{job_prefix(model)}train-*", times=1))
    return here.kubernetes.release


@pytest.mark.fault("K11")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_killed_triggerer_changes_nothing(here: Platforms, switches: Path, backend: str) -> None:
    """D01, K02, K11: who polls dies; the job goes on, is submitted once and is not ended."""
    model = f"triggerer_{backend}"
    run_id, _, process = training(here, model)
    here.airflow.airflow.kill_component("triggerer")
    here.airflow.airflow.start_component("triggerer")
    assert process.is_running()
    (switches / model).touch()
    check_task_states(here.airflow.wait_for_end(model, run_id, 600), PROMOTED)
    assert len(trained(here, model)) == 1
    check_one_version(here, model, run_id)


@pytest.mark.fault("D04", "K11")
@pytest.mark.parametrize("backend", BACKENDS)
def test_marking_failed_ends_the_job(here: Platforms, backend: str) -> None:
    """D04, K11: nobody pays for a job whose task was marked failed while it waited."""
    model = f"marked_{backend}"
    run_id, name, process = training(here, model)
    here.airflow.api.set_task_state(f"retrain_{model}", run_id, "train_model", "failed")
    here.airflow.wait_for(has_ended(process), f"end of {name}", 120)
    ended = here.airflow.wait_for_end(model, run_id)
    assert ended.state == "failed"
    check_broken(here, model, run_id)


@pytest.mark.fault("D10")
@pytest.mark.parametrize("backend", BACKENDS)
def test_clearing_a_waiting_task_never_runs_two_jobs(
    here: Platforms, switches: Path, backend: str
) -> None:
    """D10: the old job is ended or adopted, and one version comes of it."""
    model = f"cleared_{backend}"
    run_id, _, process = training(here, model)
    here.airflow.clear(model, run_id, "train_model")
    first = has_ended(process)

    def settled() -> bool:
        names = trained(here, model)
        if len(names) > 1:
            assert first(), "a second job was submitted while the first one ran"
        return len(names) > 1 or not first()

    here.airflow.wait_for(settled, "an adopted or a second job")
    (switches / model).touch()
    check_task_states(here.airflow.wait_for_end(model, run_id, 600), PROMOTED)
    check_one_version(here, model, run_id, clear=1)


@pytest.mark.parametrize("backend", ["batch", "kubernetes"])
def test_a_shared_job_lets_each_task_end_with_its_own_step(
    here: Platforms, switches: Path, backend: str
) -> None:
    """The check of the data is done while the same job goes on training; then its host is lost."""
    model = f"one_job_{backend}"
    here.airflow.land(model, patients())
    run_id = here.airflow.start_run(model)
    here.airflow.wait_for_task(model, run_id, "validate_data", "success")
    here.airflow.wait_for_task(model, run_id, "train_model", "deferred")
    (name,) = here.submissions(model)
    here.process_of(name)
    here.lose_host(name)
    here.airflow.wait_for(lambda: len(here.submissions(model)) > 1, "the next job", 120)
    (switches / model).touch()
    check_task_states(here.airflow.wait_for_end(model, run_id, 600), PROMOTED)
    steps = [name.split("-")[-4] for name in here.submissions(model)]
    assert steps == ["validate", "train", "card"]
    check_one_version(here, model, run_id)


@pytest.mark.fault("K01")
def test_sigterm_to_the_worker_never_ends_as_promoted_without_evidence(here: Platforms) -> None:
    """K01: the task that submits is told to end; whatever Airflow calls it, nothing is believed."""
    model = "sigterm_kubernetes"
    here.kubernetes.scripts.append(Script("hold", pods=f"{job_prefix(model)}train-*", times=1))
    here.airflow.land(model, patients())
    run_id = here.airflow.start_run(model)
    here.airflow.wait_for(lambda: trained(here, model), "the submission")
    task = here.airflow.task_process(model, run_id, "train_model")
    here.airflow.kill(task, signal.SIGTERM)
    here.kubernetes.release()
    ended = here.airflow.wait_for_end(model, run_id, 600)
    if here.airflow.promotions(model):
        check_one_version(here, model, run_id)
    else:
        assert ended.state == "failed"
        check_broken(here, model, run_id)
