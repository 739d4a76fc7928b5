"""Conformance: the same model on the same delivery comes out the same on every backend.

Models with the same code, one on each backend, and one on each whose steps share one start.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from include.retraining.decisions.record import DecisionRecord
from include.retraining.store.layout import RunPaths
from tests.support.backend_models import (
    IMAGE,
    SHARED_DATA,
    Platforms,
    everywhere,
    job_prefix,
    on_batch,
    on_kubernetes,
    on_lambda,
    platforms,
)
from tests.support.repository_copy import add_model, copy_repository
from tests.support.scenes import PROMOTED, UNCHANGED, check_task_states, patients

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

MODELS: dict[str, dict[str, Any]] = {
    "on_worker": {},
    "on_batch": everywhere(on_batch()),
    "on_kubernetes": everywhere(on_kubernetes()),
    "on_lambda": everywhere(on_lambda()),
    "one_batch_job": everywhere(on_batch(), one_job=True),
    "one_pod": everywhere(on_kubernetes(), one_job=True),
    "one_invocation": everywhere(on_lambda(timeout_seconds=300), one_job=True),
}
JOBS = {
    "on_worker": [],
    "on_batch": ["validate", "train", "evaluate", "card"],
    "on_kubernetes": ["validate", "train", "evaluate", "card"],
    "on_lambda": ["validate", "train", "evaluate", "card"],
    "one_batch_job": ["validate", "card"],
    "one_pod": ["validate", "card"],
    "one_invocation": ["validate", "card"],
}
# What must differ between two runs: names, times, and the digests of what holds them.
OWN = {
    "model",
    "dag_id",
    "run_id",
    "run",
    "log_head",
    "title",
    "compute",
    "config_digest",
    "created_at",
    "decided_at",
    "run_after",
    "serving_since",
    "report_digest",
    "image",
    "latency_ms_per_1000_rows",
    "model_bytes",
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with a model for each backend, all with the same data."""
    root = copy_repository(tmp_path_factory.mktemp("repository"))
    for name, values in MODELS.items():
        add_model(root, name, values={**SHARED_DATA, **values})
    return root


@pytest.fixture(scope="module")
def here(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platforms]:
    """Airflow with all platforms."""
    with platforms(tmp_path_factory.mktemp("stage"), repository) as running:
        yield running


@pytest.fixture(scope="module")
def records(here: Platforms) -> dict[str, DecisionRecord]:
    """The decision of each model on the same delivery; each was promoted."""
    here.airflow.land("shared", patients())
    runs = {model: here.airflow.start_run(model) for model in MODELS}
    for model, run_id in runs.items():
        check_task_states(here.airflow.wait_for_end(model, run_id, 600), PROMOTED)
    return {model: here.airflow.record(model, run_id) for model, run_id in runs.items()}


def comparable(value: Any) -> Any:
    """Return a document without what must differ; of a gate on latency, only its answer."""
    if isinstance(value, dict):
        if "latency" in str(value.get("gate", value.get("name", ""))):
            value = {name: item for name, item in value.items() if name == "answer"}
        return {name: comparable(item) for name, item in value.items() if name not in OWN}
    return [comparable(item) for item in value] if isinstance(value, list) else value


def test_every_backend_makes_the_same_version(records: dict[str, DecisionRecord]) -> None:
    """The fingerprint names the version, and where it was trained is not part of it."""
    assert len({record.version for record in records.values()}) == 1
    assert len({record.fingerprint for record in records.values()}) == 1


def test_every_backend_predicts_the_same(
    here: Platforms, records: dict[str, DecisionRecord]
) -> None:
    """The predictions on the holdout are equal, bit for bit."""
    tables = {}
    for model, record in records.items():
        key = RunPaths(model, record.run).predictions
        tables[model] = pd.read_parquet(io.BytesIO(here.airflow.store.read(key)))
    ours = tables.pop("on_worker")
    assert len(ours) == 144
    for table in tables.values():
        pd.testing.assert_frame_equal(table, ours, check_exact=True)


def test_every_backend_leaves_the_same_record(records: dict[str, DecisionRecord]) -> None:
    """All but names, times and the compute block are equal."""
    found = {model: comparable(one.model_dump(mode="json")) for model, one in records.items()}
    ours = found.pop("on_worker")
    assert ours["outcome"] == "promoted"
    assert ours["report"]["challenger"]["metrics"]["r2"] == pytest.approx(0.4553, abs=1e-4)
    for other in found.values():
        assert other == ours


def test_the_record_says_where_each_step_ran(records: dict[str, DecisionRecord]) -> None:
    """Backend, image, what was given, what was used and how many jobs it took."""
    for model, record in records.items():
        backend = {
            "on_worker": "local",
            "on_batch": "batch",
            "one_batch_job": "batch",
            "on_lambda": "lambda",
            "one_invocation": "lambda",
        }
        steps = record.compute
        assert set(steps) == {"validate", "train", "evaluate"}
        for used in steps.values():
            assert used.backend == backend.get(model, "kubernetes")
            assert used.jobs == (0 if model == "on_worker" else 1)
            assert used.image == (None if model == "on_worker" else IMAGE)
            assert used.memory == (None if model == "on_worker" else "2048MiB")
            assert used.peak_memory_bytes > 10**7  # type: ignore[operator]
            assert used.seconds > 0  # type: ignore[operator]


@pytest.mark.usefixtures("records")
def test_every_step_is_submitted_once(here: Platforms) -> None:
    """One job for each step, the card and the profile; steps that share a start have one together.

    The first run of a model grades nobody, and profiles its training rows.
    """
    for model, steps in JOBS.items():
        names = here.submissions(model)
        assert [
            name.removeprefix(job_prefix(model)).partition("-")[0] for name in names
        ] == steps, names
        assert len(here.gradings(model)) == bool(steps), here.gradings(model)


@pytest.mark.usefixtures("records")
def test_the_graph_is_the_same_on_every_backend(here: Platforms) -> None:
    """Task ids and edges do not change with the backend."""
    graphs = set()
    for model in MODELS:
        tasks = here.airflow.api.request("GET", f"/dags/retrain_{model}/tasks")["tasks"]
        edges = {task["task_id"]: tuple(sorted(task["downstream_task_ids"])) for task in tasks}
        graphs.add(tuple(sorted(edges.items())))
    assert len(graphs) == 1


def test_what_a_job_writes_is_in_the_tasks_log(
    here: Platforms, records: dict[str, DecisionRecord]
) -> None:
    """Whoever opens the log of a task in the UI sees its job's lines, wherever it ran."""
    for model in ("on_worker", "on_batch", "on_kubernetes", "on_lambda"):
        log = here.airflow.log(model, records[model].run_id, "train_model")
        assert "fitting Pipeline on 298 rows" in log, log


def test_a_functions_log_is_linked(here: Platforms, records: dict[str, DecisionRecord]) -> None:
    """The task's log says where on CloudWatch the rest of it is, by the request."""
    (training,) = [job for job in here.functions.jobs if "-on-lambda-train-" in job.name]
    log = here.airflow.log("on_lambda", records["on_lambda"].run_id, "train_model")
    assert f"/log-events$3FfilterPattern$3D$2522{training.request_id}$2522" in log, log


@pytest.mark.fault("K05")
def test_a_cleared_training_is_not_done_again(
    here: Platforms, records: dict[str, DecisionRecord]
) -> None:
    """K05: clearing a successful step starts no job; its log says that the result was verified."""
    for model in ("on_batch", "on_kubernetes", "one_pod", "on_lambda"):
        before = len(here.submissions(model))
        run_id = records[model].run_id
        here.airflow.clear(model, run_id, "train_model")
        ended = here.airflow.wait_for_end(model, run_id)
        assert ended.state == "success"
        assert "already done and verified" in here.airflow.log(model, run_id, "train_model")
        added = [name.rsplit("-", 3)[0] for name in here.submissions(model)[before:]]
        assert all(name.endswith("-card") for name in added), added  # of the new decision


def edit(root: Path, model: str, compute: dict[str, Any]) -> None:
    """Change where a model runs, and nothing else."""
    file = root / "include/models" / f"{model}.yaml"
    values = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**values, "compute": compute}, sort_keys=False))


@pytest.mark.usefixtures("records")
def test_a_model_moves_by_editing_its_yaml(here: Platforms) -> None:
    """Local, Batch, Kubernetes: nothing is trained anew for the move, and new data go there."""
    airflow, model, backends = here.airflow, "on_worker", []
    moves = (everywhere(on_batch())["compute"], everywhere(on_kubernetes())["compute"])
    for rows, compute in zip((430, 420), moves, strict=True):
        edit(airflow.root, model, compute)
        airflow.raise_flag("shared")  # the same delivery again
        run_id = airflow.start_run(model, run_id=f"moved-{rows}")
        check_task_states(airflow.wait_for_end(model, run_id), UNCHANGED)
        airflow.land("shared", patients().head(rows))
        run_id = airflow.start_run(model, run_id=f"data-{rows}")
        airflow.wait_for_end(model, run_id)
        backends.append(airflow.record(model, run_id).compute["train"].backend)
    assert backends == ["batch", "kubernetes"]
    assert len(here.submissions(model)) == 8
    assert len(here.gradings(model)) == 2
