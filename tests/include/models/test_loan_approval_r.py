from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import time
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from include.local_airflow.demo.samples import land, loan_approval
from include.retraining.config.model import ModelConfig, load_model
from include.retraining.config.model_code import load_model_code, read_scripts
from include.retraining.config.sections import Commands
from include.retraining.gate.report import EvaluationReport
from include.retraining.gate.rules import judge
from include.retraining.gate.verdict import Answer, Verdict
from include.retraining.maintenance.reproduce import reproduce
from include.retraining.registry.promotion import Registry
from include.retraining.registry.versions import read_version
from include.retraining.runs.job import Job
from include.retraining.runs.manifest import Params, TriggeredBy
from include.retraining.runs.results import write_result
from include.retraining.steps.evaluate import evaluate
from include.retraining.steps.plan import plan_run
from include.retraining.steps.train import train
from include.retraining.steps.validate import validate
from include.retraining.store.layout import RunPaths
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from include.retraining.training.command_model import TrainingTask, started, train_model
from include.retraining.training.predictions import Predictions

NAME = "loan_approval_r"
MODELS = Path(__file__).parents[3] / "include" / "models"

pytestmark = pytest.mark.skipif(
    shutil.which("Rscript") is None,
    reason="Rscript is not installed (Debian: apt-get install r-base-core)",
)


def make_store(folder: Path) -> Store:
    """Make a store with the loan applications in it."""
    made = initialise(f"file://{folder / 'store'}")
    land(made, "loan_approval")
    return made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with the loan applications in it."""
    return make_store(tmp_path)


def changed(**training: object) -> ModelConfig:
    """The model as it ships but for its training, and for the gate that it does not pass."""
    values = load_model(NAME).model_dump(mode="json")
    values["training"] = {**values["training"], **training}
    # As the model in Python on these data, it approves of fewer than four fifths of one group.
    values["gates"]["fairness"] = [
        rule for rule in values["gates"]["fairness"] if rule["attribute"] != "race"
    ]
    return ModelConfig.model_validate(values)


def run(
    store: Store, config: ModelConfig, number: int, *, force: bool = False
) -> tuple[Job, EvaluationReport, Verdict]:
    """Plan, validate, train, evaluate and judge."""
    manifest = plan_run(
        store,
        config,
        dag_id=config.dag_id,
        run_id=f"manual__{number}",
        run_after=datetime(2026, 11, 24, 6, number, tzinfo=UTC),
        params=Params(date=date(2026, 11, 24), force_retrain=force),
        cause=TriggeredBy(run_type="manual"),
    )
    paths = RunPaths(config.name, manifest.run)
    planned = ModelConfig.model_validate(manifest.config)
    job = Job(store, paths, manifest, planned, f"try-{number}", time.time())
    write_result(job.store, job.paths, job.manifest, validate(job))
    write_result(job.store, job.paths, job.manifest, train(job))
    write_result(job.store, job.paths, job.manifest, evaluate(job))
    report = EvaluationReport.from_bytes(store.read(paths.evaluation), where=paths.evaluation)
    return job, report, judge(report, config.gates, report_digest=report.content_digest)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, EvaluationReport, Verdict]:
    """A first run, which is trained once for all tests that read it."""
    return run(make_store(tmp_path_factory.mktemp("first")), changed(), 1)


def promote(store: Store, job: Job, report: EvaluationReport, verdict: Verdict) -> None:
    """Let a run's version serve, because the gate passed it."""
    Registry(store, NAME).promote(
        manifest=job.manifest, verdict=verdict, report=report, actor="tests", reason="passed"
    )


def test_a_model_in_r_is_trained_judged_and_promoted(
    first: tuple[Job, EvaluationReport, Verdict],
):
    """On the real applications it passes its gates, serves, and meets a challenger."""
    job, report, verdict = first
    store = job.store
    assert verdict.passed, verdict.headline
    assert report.challenger.metrics["roc_auc"] > 0.85
    assert report.challenger.metrics["neg_brier_score"] > -0.09
    promote(store, job, report, verdict)
    version = read_version(store, NAME, job.manifest.version)
    assert version.predicts_by is not None
    assert version.predicts_by.command == ("Rscript", "predict.R")
    names = {file.name for file in version.files}
    scripts = {f"scripts/{name}" for name in read_scripts(NAME)}
    assert names == {"model/weights.csv", *scripts}

    # A second version in R, with the first as its champion, that predicts the same.
    job, report, verdict = run(store, changed(seed=1), 2)
    assert verdict.passed, verdict.headline
    assert report.champion is not None
    assert report.champion.comparison is not None
    assert report.champion.comparison.difference == 0
    promote(store, job, report, verdict)


@pytest.mark.slow
def test_a_champion_in_r_meets_a_challenger_in_python_and_the_other_way_round(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Two languages, the same contract and the same holdout: they are compared row by row."""
    promote(store, *run(store, changed(), 1))
    # The model's file gets an estimator, as a person would who moves the model to Python.
    import include.models.loan_approval_r as module
    from include.models.loan_approval import build_estimator

    monkeypatch.setattr(module, "build_estimator", build_estimator, raising=False)
    in_python = {
        "commands": None,
        "entry_point": "build_estimator",
        "allow_commands": True,
        "trusted_types": ["numpy.dtype"],
    }
    job, report, verdict = run(store, changed(**in_python), 2)
    assert report.champion is not None
    assert report.champion.error is None
    assert verdict.passed, verdict.headline
    table = pq.read_table(io.BytesIO(store.read(job.paths.predictions))).to_pandas()
    apart = (table["champion_probability"] - table["challenger_probability"]).abs()
    assert 0.001 < apart.max() < 0.4  # one is regularised, the other is not
    assert (table["champion"] == table["challenger"]).mean() > 0.97
    promote(store, job, report, verdict)

    in_r = {"trusted_types": ["numpy.dtype"]}
    _, report, verdict = run(store, changed(**in_r), 3)
    assert report.champion is not None
    assert report.champion.error is None
    assert verdict.passed, verdict.headline


def test_it_predicts_what_a_regression_in_python_predicts(
    first: tuple[Job, EvaluationReport, Verdict],
):
    """Without regularisation, scikit-learn finds the same probabilities as R."""
    from sklearn.base import clone

    from include.models.loan_approval import FEATURES, build_estimator
    from include.retraining.data.split import holdout_mask

    job, _, _ = first
    table = pq.read_table(io.BytesIO(job.store.read(job.paths.predictions))).to_pandas()
    frame = pd.read_csv(io.BytesIO(loan_approval()))
    estimator = clone(build_estimator(1))
    estimator.steps[-1][1].set_params(C=np.inf, tol=1e-10, max_iter=10_000)
    mask = holdout_mask(frame, job.config)
    estimator.fit(frame.loc[~mask, list(FEATURES)], frame.loc[~mask, "approve"])
    chances = estimator.predict_proba(frame.loc[mask, list(FEATURES)])[:, 1]
    keys = frame.loc[mask, "application_id"].astype(str)
    assert table["key"].tolist() == keys.tolist()
    assert np.abs(chances - table["challenger_probability"]).max() < 1e-4


def test_it_is_reproduced_to_the_bit(first: tuple[Job, EvaluationReport, Verdict]):
    """R has no secrets from one run to the next."""
    job, _, _ = first
    found = reproduce(job.store, job.paths)
    assert found.is_same
    assert found.rows_that_differ == 0


def test_it_passes_and_fails_the_gates_of_the_model_in_python(store: Store):
    """The gates that ship judge both languages the same way."""
    _, _, in_r = run(store, load_model(NAME), 1)
    _, _, in_python = run(store, load_model("loan_approval"), 2)

    def answers(verdict: Verdict) -> dict[str, Answer]:
        # Latency is the machine's, and has another limit in each file.
        return {gate.gate: gate.answer for gate in verdict.gates if gate.gate != "latency"}

    assert answers(in_r) == answers(in_python)


ANSWER = """
answer <- function(data, predictions) {
  task$data <- data
  task$predictions <- predictions
"""


def in_format_2(loop: str) -> Predictions:
    """What the model predicts for the applications when it is asked line by line."""
    scripts = {name: data.decode() for name, data in read_scripts(NAME).items()}
    scripts["task.R"] = scripts["task.R"].replace("task$format != 1", "task$format != 2")
    head, tail = scripts["predict.R"].split("rows <- read_applications")
    scripts["predict.R"] = f"{head}{ANSWER}rows <- read_applications{tail}}}\n{loop}"
    frame = pd.read_csv(io.BytesIO(loan_approval()))
    code = load_model_code(changed())
    task = TrainingTask(
        problem="binary",
        rows=frame[list(code.features)],
        label="approve",
        labels=frame["approve"].to_numpy(),
        classes=(0, 1),
        positive=1,
        seed=1,
    )
    commands = Commands(train=("Rscript", "train.R"), predict=("Rscript", "predict.R"), format=2)
    model = train_model(task, commands, {name: text.encode() for name, text in scripts.items()})
    with started(model) as running:
        running.predict(frame.head(10))
        return running.predictions(frame)


def test_the_loop_in_the_document_answers():
    """The lines that the document shows in R are a command that answers in format 2."""
    text = (MODELS.parents[1] / "docs" / "any-language.md").read_text(encoding="utf-8")
    (loop,) = re.findall(r"```r\n(.*?)```", text, re.DOTALL)
    found = in_format_2(loop)
    assert found.probabilities.shape == (1989, 2)
    assert (found.probabilities.argmax(axis=1) == found.values).all()


READ_TASK = """
source("task.R")
task <- read_task()
cat(task$features, task$seed, is.null(task$nothing), task$yes, task$none, sep = "\\n")
cat(length(task$empty), length(task$one), task$nested$deep[2], "\\n")
"""


def test_the_script_reads_any_json(tmp_path: Path):
    """Texts with what JSON escapes, numbers, lists, objects and null are read as they are."""
    shutil.copy(MODELS / NAME / "task.R", tmp_path)
    (tmp_path / "try.R").write_text(READ_TASK)
    task = {
        "format": 1,
        "features": ['a "b"', "c\\d", "é, {x}: [y]", "tab\there", "\u0007"],
        "seed": 4294967295,
        "nothing": None,
        "yes": True,
        "none": -1.5e-3,
        "empty": [],
        "one": [1],
        "nested": {"deep": [1, 2]},
    }
    (tmp_path / "task.json").write_text(json.dumps(task, ensure_ascii=False, indent=2))
    said = subprocess.run(
        ["Rscript", "try.R", "task.json"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
    ).stdout.decode()
    features = "\n".join(task["features"])
    assert said == f"{features}\n4294967295\nTRUE\nTRUE\n-0.0015\n0 1 2 \n"


def test_a_task_of_another_format_is_refused_by_the_script(tmp_path: Path):
    """A script that knows one format says so when it is asked in another."""
    shutil.copy(MODELS / NAME / "task.R", tmp_path)
    (tmp_path / "try.R").write_text('source("task.R"); read_task()')
    (tmp_path / "task.json").write_text('{"format": 2}')
    done = subprocess.run(
        ["Rscript", "try.R", "task.json"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode != 0
    assert b"format 1 only" in done.stderr


def test_the_way_to_try_it_by_hand_works(tmp_path: Path):
    """The commands in the document run as they are, from the root of the repository."""
    root = MODELS.parents[1]
    text = (root / "docs" / "any-language.md").read_text(encoding="utf-8")
    section = text.partition("## Trying the commands by hand")[2]
    (commands,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    shutil.copytree(MODELS / NAME, tmp_path / "include" / "models" / NAME)
    shutil.copy(MODELS / "loan_approval.csv", tmp_path / "include" / "models")
    done = subprocess.run(
        ["sh", "-eu", "-c", commands], cwd=tmp_path, capture_output=True, check=True, text=True
    )
    assert "fitted in" in done.stdout
    assert re.search(r"row,prediction,probability\n1,1,0\.\d+\n2,1,0\.\d+\n$", done.stdout)
