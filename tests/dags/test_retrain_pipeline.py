"""Tests of the DAG file: what a person sees, what protects production, and what a parse costs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import DAG, Asset, BaseNotifier
from airflow.serialization.serialized_objects import DagSerialization

from include.orchestration.callbacks.notifiers import DecisionNotifier, MissingCardNotifier
from include.orchestration.callbacks.run_ended import record_run_end, stop_run_jobs
from include.orchestration.operators import run_tasks
from include.retraining.config.model import load_model, model_names
from tests.support.repository_copy import add_model
from tests.support.scenes import TASKS

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "aiobotocore", "boto3", "botocore", "fairlearn", "kubernetes", "matplotlib", "numpy", "obstore",
    "pandas", "pandera", "pyarrow", "sklearn", "skops", "slack_sdk",
}  # fmt: skip


# Airflow's own use of a library.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")


def parse(root: Path) -> BundleDagBag:
    """Parse a repository as Airflow's DAG processor does."""
    return BundleDagBag(dag_folder=root, bundle_path=root, bundle_name="retraining")


@pytest.fixture(scope="module")
def bag() -> BundleDagBag:
    """The DAGs of this repository."""
    return parse(ROOT)


@pytest.fixture(params=model_names())
def dag(bag: BundleDagBag, request: pytest.FixtureRequest) -> DAG:
    """Each model's DAG."""
    found: DAG = bag.dags[f"retrain_{request.param}"]
    return found


def test_every_model_has_its_dag_and_no_file_is_broken(bag: BundleDagBag) -> None:
    """The bag is not empty, and only `dags/` was searched for DAGs."""
    assert bag.import_errors == {}
    retraining = {dag_id for dag_id in bag.dags if dag_id.startswith("retrain_")}
    assert retraining == {f"retrain_{name}" for name in model_names()}
    assert len(retraining) >= 2
    assert {Path(dag.fileloc).parent for dag in bag.dags.values()} == {ROOT / "dags"}


def test_a_dag_can_be_stored(dag: DAG) -> None:
    """What Airflow keeps of it is plain JSON."""
    assert json.dumps(DagSerialization.to_dict(dag))


def test_tasks_and_edges_are_the_ones_of_the_design(dag: DAG) -> None:
    """The same ids and edges for every model."""
    assert set(dag.task_ids) == set(TASKS)
    edges = {(up, down) for up, task in dag.task_dict.items() for down in task.downstream_task_ids}
    assert edges == {
        ("wait_for_data", "plan_run"),
        ("plan_run", "no_change"),
        ("plan_run", "validate_data"),
        ("validate_data", "train_model"),
        ("train_model", "evaluate_model"),
        ("validate_data", "grade_champion"),
        ("grade_champion", "end_of_grading"),
        ("evaluate_model", "check_quality"),
        ("check_quality", "deploy_model"),
        ("check_quality", "abort_pipeline"),
        ("check_quality", "publish_card"),
    }


def test_the_promotion_is_only_behind_the_gate(dag: DAG) -> None:
    """The gate is the one task directly before the promotion, and nothing runs past a failure."""
    deploy = dag.task_dict["deploy_model"]
    assert deploy.upstream_task_ids == {"check_quality"}
    rules = {task.task_id: task.trigger_rule for task in dag.tasks}
    assert rules.pop("end_of_grading") == "all_done"
    assert set(rules.values()) == {"all_success"}
    assert [task.task_id for task in dag.tasks if task.outlets] == ["deploy_model"]


def test_the_branches_name_tasks_directly_behind_them(
    dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A branch that names another task would skip everything, silently."""
    plan, gate = dag.task_dict["plan_run"], dag.task_dict["check_quality"]
    assert chosen_by(plan, monkeypatch) == {True: ["validate_data"], False: ["no_change"]}
    assert plan.downstream_task_ids == {"validate_data", "no_change"}
    answers = chosen_by(gate, monkeypatch, None)
    assert answers == {
        True: ["deploy_model", "publish_card"],
        False: ["abort_pipeline", "publish_card"],
    }
    assert gate.downstream_task_ids == {*answers[True], *answers[False]}


def chosen_by(
    task: Any, monkeypatch: pytest.MonkeyPatch, *evaluated: object
) -> dict[bool, list[str]]:
    """Return which tasks a branch goes on to, for each answer of its deed."""
    answers = {}
    for answer in (True, False):
        monkeypatch.setattr(run_tasks, task.task_id, lambda _, answer=answer: answer)
        chosen = task.python_callable(*evaluated)
        answers[answer] = [chosen] if isinstance(chosen, str) else chosen
    return answers


def test_the_gate_is_given_what_the_evaluation_returned(dag: DAG) -> None:
    """The arrow between them comes from the data; no string names the task."""
    gate: Any = dag.task_dict["check_quality"]
    (evaluated,) = gate.op_args
    assert evaluated.operator is dag.task_dict["evaluate_model"]


def test_the_file_is_read_in_a_minute() -> None:
    """At most 120 lines each, their texts included."""
    for file in (ROOT / "dags").glob("*.py"):
        assert len(file.read_text().splitlines()) <= 120, file.name


def test_the_graph_reads_by_itself(dag: DAG) -> None:
    """Every task has a name in plain words, and every edge of a branch says when it is taken."""
    for task in dag.tasks:
        assert task.task_display_name != task.task_id
    labels = {
        (up, down): info.get("label")
        for up, ends in dag.edge_info.items()
        for down, info in ends.items()
    }
    assert labels == {
        ("plan_run", "no_change"): "nothing changed",
        ("plan_run", "validate_data"): "new data, code or config",
        ("check_quality", "deploy_model"): "every gate passed",
        ("check_quality", "abort_pipeline"): "a gate failed, or cannot judge",
    }


def test_a_dag_says_who_owns_it_and_what_to_do(dag: DAG) -> None:
    """Owner, tier and triage notes are on its page, its tags and its tasks."""
    config = load_model(dag.dag_id.removeprefix("retrain_"))
    assert dag.doc_md is not None
    assert config.title in dag.doc_md
    assert "## Triage" in dag.doc_md
    assert set(dag.tags) == {"retraining", f"tier/{config.tier}", config.owner}
    assert {task.owner for task in dag.tasks} == {config.owner}


def test_a_run_is_alone_and_starts_when_the_model_says(dag: DAG) -> None:
    """One run at a time, none for the past, in the model's time zone."""
    trigger = load_model(dag.dag_id.removeprefix("retrain_")).trigger
    timetable: Any = dag.timetable
    assert (dag.max_active_runs, dag.catchup) == (1, False)
    if trigger.schedule is None:
        assert not timetable.can_be_scheduled
    else:
        assert str(timetable.timezone) == trigger.timezone
        assert timetable.expression == trigger.schedule
    assert dag.start_date is None  # with one, switching the DAG on would start a run at once


@pytest.mark.fault("W03")
def test_grading_is_beside_the_way_and_fails_no_run(dag: DAG) -> None:
    """A run fails by its last tasks; behind the grading comes one that always succeeds (W03)."""
    grading, end = dag.task_dict["grade_champion"], dag.task_dict["end_of_grading"]
    assert grading.downstream_task_ids == {"end_of_grading"}
    assert (end.downstream_task_ids, end.trigger_rule) == (set(), "all_done")
    assert not grading.on_failure_callback


def test_the_alert_hangs_on_the_dag(dag: DAG) -> None:
    """No task callback comes when a process is killed (E1); the card must not close its run."""
    assert kinds(dag.on_success_callback) == [record_run_end, DecisionNotifier]
    assert kinds(dag.on_failure_callback) == [record_run_end, DecisionNotifier, stop_run_jobs]
    card = dag.task_dict["publish_card"]
    assert kinds(card.on_failure_callback) == [MissingCardNotifier]
    beside = {"publish_card", "grade_champion"}
    assert kinds(dag.task_dict["grade_champion"].on_failure_callback or []) == []
    for task in dag.tasks:
        if task.task_id not in beside:
            assert kinds(task.on_failure_callback) == [record_run_end, DecisionNotifier]


def kinds(callbacks: Any) -> list[Any]:
    """Return callbacks, a notifier by its class."""
    return [type(one) if isinstance(one, BaseNotifier) else one for one in callbacks]


def test_infrastructure_errors_are_tried_again_twice_five_minutes_apart(dag: DAG) -> None:
    """The delay is Airflow's own default, so that an installation and the tests may change it."""
    for task in dag.tasks:
        if task.task_id != "wait_for_data":
            assert task.retries == 2
            assert task.retry_delay == timedelta(minutes=5)


def test_the_wait_is_tried_again_within_seconds_and_for_as_long_as_the_rest(dag: DAG) -> None:
    """Airflow stops a wait whose pause it noticed late; a store may be away for ten minutes."""
    wait = dag.task_dict["wait_for_data"]
    assert wait.retry_delay == timedelta(seconds=10)
    delays = [10 * wait.retry_exponential_backoff**number for number in range(wait.retries or 0)]
    assert sum(delays) >= 2 * 5 * 60


def test_the_promotion_emits_the_champions_asset(dag: DAG) -> None:
    """Scoring DAGs listen to NAME_champion."""
    name = dag.dag_id.removeprefix("retrain_")
    assert dag.task_dict["deploy_model"].outlets == [Asset(f"{name}_champion")]


def test_every_pool_is_one_that_the_settings_make(dag: DAG) -> None:
    """A task in a pool that nobody made waits for ever."""
    settings = yaml.safe_load((ROOT / "airflow_settings.yaml").read_text())
    pools = {pool["pool_name"] for pool in settings["airflow"]["pools"]}
    assert {task.pool for task in dag.tasks} <= pools | {"default_pool"}


# Broken and many models.


def copy_of_repository(target: Path) -> Path:
    """Copy what a parse reads."""
    for name in ("dags", "include", "plugins"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".airflowignore", target)
    return target


PARSE = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.serialization.serialized_objects import DagSerialization
before = set(sys.modules)
root = Path(sys.argv[1])
bag = BundleDagBag(dag_folder=root, bundle_path=root, bundle_name="retraining")
print(json.dumps({
    "errors": bag.import_errors,
    "dags": {dag_id: {"tasks": sorted(dag.task_ids), "doc": dag.doc_md,
                      "schedule": getattr(dag.timetable, "expression", None),
                      "stored": DagSerialization.to_dict(dag)}
             for dag_id, dag in bag.dags.items()},
    "models": sorted(Path(p).stem for p in OPENED),
    "modules": sorted({name.partition(".")[0] for name in set(sys.modules) - before}),
}))
"""
WATCH_FILES = """
import sys
OPENED = []
sys.addaudithook(lambda event, args: OPENED.append(args[0]) if event == "open"
                 and str(args[0]).endswith(".yaml") and "/models/" in str(args[0]) else None)
"""


def parse_apart(root: Path, **environment: str) -> dict[str, Any]:
    """Parse a repository in a process of its own and say what came of it."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH_FILES + PARSE, str(root)],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
        env={**os.environ, **environment},
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


BROKEN = {
    "unknown_field": ("problem: regression", "problem: regression\ncolour: red", "colour"),
    "no_yaml": ("problem: regression", "problem: [", "not readable as YAML"),
    "impossible_time": ('"30 5 * * 1"', '"99 5 * * 1"', "'99 5 * * 1' is not a time that comes"),
    "never_comes": ('"30 5 * * 1"', '"0 0 30 2 *"', "'0 0 30 2 *' never comes"),
    "unwatchable": (
        "flag: landing/",
        "flag: ftp://bucket/",
        "ftp:// is not a place that can be waited on",
    ),
    "unknown_executor": (
        "problem: regression",
        "problem: regression\ncompute: {train_model: {executor: EdgeExecutor}}",
        "train_model.executor: 'EdgeExecutor' is none of this Airflow's executors; there are: Lo",
    ),
    "no_text": ("problem: regression", "problem: \udcff", "utf-8"),
    "Copy of (1)": ("problem: regression", "problem: regression", "is no name for a model"),
}


@pytest.fixture(scope="module")
def broken_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is parsed of a repository in which a model is broken in every way there is."""
    root = copy_of_repository(tmp_path_factory.mktemp("broken"))
    models = root / "include" / "models"
    text = (models / "diabetes_progression.yaml").read_text()
    for name, (old, new, _) in BROKEN.items():
        assert old in text
        broken = text.replace(old, new).replace("name: diabetes_progression", f"name: {name}")
        (models / f"{name}.yaml").write_bytes(broken.encode(errors="surrogateescape"))
        shutil.copy(models / "diabetes_progression.py", models / f"{name}.py")
    return parse_apart(root)


def test_broken_models_take_no_other_dag_away(broken_models: dict[str, Any]) -> None:
    """No import error, which would stop every DAG of the file; the healthy ones are whole."""
    assert broken_models["errors"] == {}
    for name in model_names():
        assert set(broken_models["dags"][f"retrain_{name}"]["tasks"]) == set(TASKS)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_model_says_what_is_wrong(broken_models: dict[str, Any], name: str) -> None:
    """Its own DAG stays, daily, with one task, and its page holds the error."""
    dag_id = "retrain_" + re.sub(r"[^\w.-]", "_", name)
    broken = broken_models["dags"][dag_id]
    assert broken["tasks"] == ["read_configuration"]
    assert BROKEN[name][2] in broken["doc"]
    assert broken["schedule"] == "0 0 * * *"


def test_heavy_steps_go_to_the_queue_and_the_executor_that_the_model_names(tmp_path: Path) -> None:
    """Local jobs wait for a worker of the training queue, the light tasks for any worker.

    The scheduler reads both from what Airflow stores of a DAG.
    """
    root = copy_of_repository(tmp_path)
    compute = {"train_model": {"queue": "big_machines", "executor": "second"}}
    add_model(root, "elsewhere", values={"compute": compute})
    executors = "LocalExecutor,second:airflow.providers.celery.executors.CeleryExecutor"
    found = parse_apart(root, AIRFLOW__CORE__EXECUTOR=executors)
    assert found["errors"] == {}
    heavy = ["validate_data", "train_model", "evaluate_model", "publish_card", "grade_champion"]
    shipped = placed(found, "diabetes_progression")
    assert {task: shipped[task] for task in heavy} == dict.fromkeys(heavy, ("training", None))
    assert {shipped[task] for task in set(TASKS) - set(heavy)} == {("default", None)}
    changed = {**shipped, "train_model": ("big_machines", "second")}
    assert placed(found, "elsewhere") == changed


def placed(found: dict[str, Any], model: str) -> dict[str, tuple[str, str | None]]:
    """Each task's queue and executor, from what Airflow stores of a model's DAG."""
    dag = DagSerialization.from_dict(found["dags"][f"retrain_{model}"]["stored"])
    return {task.task_id: (task.queue, task.executor) for task in dag.tasks}


def test_a_running_task_reads_its_own_model_only() -> None:
    """What a task's parse costs does not grow with the number of models."""
    found = parse_apart(ROOT, _AIRFLOW_PARSING_CONTEXT_DAG_ID="retrain_loan_approval")
    retraining = {dag_id for dag_id in found["dags"] if dag_id.startswith("retrain_")}
    assert retraining == {"retrain_loan_approval"}
    assert found["models"] == ["loan_approval"]


def test_a_parse_imports_nothing_heavy() -> None:
    """Every task pays for the parse again."""
    found = parse_apart(ROOT)
    assert len(found["dags"]) >= 2
    assert not HEAVY & set(found["modules"])
