"""Trying a version before it serves again: real models on real holdouts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from include.retraining.decisions.record import Outcome
from include.retraining.exceptions import ArtifactError, NotFound
from include.retraining.rollback.smoke_test import smoke_test_version
from include.retraining.runs.job import Job
from include.retraining.runs.reference import RunRef
from include.retraining.steps.close_run import close_run
from include.retraining.steps.decide import check_quality
from include.retraining.store import layout
from tests.support.toy_models import Toy, make_frame, model_file

MakeToy = Callable[..., Toy]


def served(toy: Toy) -> Job:
    """Train, evaluate and promote, and leave the record."""
    job, report = toy.run()
    toy.promote(job, report)
    leave_record(toy, job)
    return job


def leave_record(toy: Toy, job: Job) -> None:
    """Close a run as its last task does."""
    manifest = job.manifest
    run = RunRef(
        model=toy.name,
        dag_id=manifest.dag_id,
        run_id=manifest.run_id,
        run_after=manifest.run_after,
        clear=0,
        cause=manifest.cause,
    )
    check_quality(toy.store, run)
    close_run(toy.store, run, Outcome.REJECTED, "for a test")


@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression"])
def test_a_version_that_answers(make_toy: MakeToy, problem: str) -> None:
    """It verifies, loads and answers on the holdout of the run that was scored last."""
    toy = make_toy(problem)
    job = served(toy)
    said = smoke_test_version(toy.store, toy.config, job.manifest.version)
    assert said.startswith(f"version {job.manifest.version} verifies, loads and answers on ")
    assert said.endswith(f"rows of the holdout of run {job.manifest.run_id}")


def test_a_version_whose_columns_are_gone(make_toy: MakeToy) -> None:
    """What reads a column that is no longer delivered would not answer when it serves."""
    toy = make_toy()
    old = served(toy)
    toy.write_model(model_file("binary").replace('FEATURES = ("a", "b")', 'FEATURES = ("a",)'))
    toy.deliver(make_frame("binary", seed=2).drop(columns="b").assign(c=1.0))
    toy.write_model(
        model_file("binary")
        .replace('FEATURES = ("a", "b")', 'FEATURES = ("a",)')
        .replace("    b: float\n", "")
    )
    job = toy.plan()
    toy.train(job)
    toy.evaluate(job)
    leave_record(toy, job)
    with pytest.raises(ArtifactError, match=r"does not answer: .*lacks the column 'b'"):
        smoke_test_version(toy.store, toy.config, old.manifest.version)


def test_a_delivery_that_is_gone_is_passed_over(make_toy: MakeToy) -> None:
    """The holdout before it serves as well; where none is left, the version is loaded only."""
    toy = make_toy()
    job = served(toy)
    version = job.manifest.version
    toy.deliver(make_frame("binary", seed=3))
    said = smoke_test_version(toy.store, toy.config, version)
    assert said.startswith(f"version {version} verifies and loads; it was not tried on data: run")
    assert "its content is not what was pinned" in said or "bytes" in said


def test_a_damaged_record_keeps_nobody_from_going_back(make_toy: MakeToy) -> None:
    """The version is loaded, and it is said why no more was tried."""
    toy = make_toy()
    job = served(toy)
    (info,) = toy.store.children(f"models/{toy.name}/decisions")[1]
    toy.store.write(info.key, b"{")
    said = smoke_test_version(toy.store, toy.config, job.manifest.version)
    assert "verifies and loads; it was not tried on data: " in said
    assert "not a readable DecisionRecord" in said


def test_before_any_run_was_judged(make_toy: MakeToy) -> None:
    """Without a decision there is no holdout to try a version on."""
    toy = make_toy()
    job, report = toy.run()
    toy.promote(job, report)
    said = smoke_test_version(toy.store, toy.config, job.manifest.version)
    assert said.endswith("it was not tried on data: no run was evaluated yet")


BROKEN = """
class Moody(ClassifierMixin, BaseEstimator):
    def fit(self, rows, labels):
        self.classes_ = np.unique(labels)
        return self

    def predict(self, rows):
        if getattr(Moody, "breaks", False):
            raise RuntimeError("out of order")
        return self.classes_[(rows["a"] > 0).astype(int)]

    def predict_proba(self, rows):
        if getattr(Moody, "is_lost", False):
            return np.full((len(rows), len(self.classes_)), np.nan)
        return np.eye(len(self.classes_))[(rows["a"] > 0).astype(int)]
"""


@pytest.mark.parametrize(
    ("mood", "text"),
    [("breaks", "does not answer: RuntimeError at .+task's log"), ("is_lost", "no finite numbers")],
)
def test_a_version_that_does_not_answer(make_toy: MakeToy, mood: str, text: str) -> None:
    """Whatever its code raises, and a value that is no number, is said in one line."""
    import sys

    toy = make_toy()
    module = f"include.models.{toy.name}"
    toy.changes["training"] = {"trusted_types": [f"{module}.Moody"]}
    toy.write_model(model_file("binary", "Moody()", more=BROKEN))
    job = served(toy)
    setattr(sys.modules[module].Moody, mood, True)
    with pytest.raises(ArtifactError, match=text):
        smoke_test_version(toy.store, toy.config, job.manifest.version)


def test_a_damaged_version(make_toy: MakeToy) -> None:
    """What is not what served is not even loaded; what never served is not tried."""
    toy = make_toy()
    job = served(toy)
    version = job.manifest.version
    with pytest.raises(NotFound, match="never served"):
        smoke_test_version(toy.store, toy.config, "0" * 16)
    key = layout.version_manifest_key(toy.name, version)
    toy.store.write(key, toy.store.read(key).replace(b'"seed": 7', b'"seed": 8'))
    with pytest.raises(ArtifactError, match="altered"):
        smoke_test_version(toy.store, toy.config, version)
