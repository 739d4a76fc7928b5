from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from include.retraining.evaluation.metrics import METRICS
from include.retraining.exceptions import CodeChanged, DataChanged, EvidenceError
from include.retraining.maintenance import reproduce as module
from include.retraining.maintenance.reproduce import reproduce
from tests.support.toy_models import Toy, make_frame, model_file

MakeToy = Callable[..., Toy]


def stored(toy: Toy) -> dict[str, tuple[int, object]]:
    """Everything in the store, to see that nothing changed."""
    return {info.key: (info.size, info.last_modified) for info in toy.store.objects()}


@pytest.mark.fault("N06")
@pytest.mark.parametrize("problem", list(METRICS))
def test_a_run_is_reproduced_to_the_bit(make_toy: MakeToy, problem: str):
    """The same inputs give the same version and the same predictions, and nothing is written."""
    toy = make_toy(problem)
    job, report = toy.run()
    before = stored(toy)
    found = reproduce(toy.store, job.paths)
    assert found.is_same
    assert found.version == found.version_again == job.manifest.version
    assert found.changed_code == ()
    assert found.rows_that_differ == 0
    assert found.greatest_difference == 0
    assert found.holdout_rows == report.holdout.rows
    assert found.lines[-1] == "reproduced"
    assert stored(toy) == before


def test_a_forced_run_is_reproduced(make_toy: MakeToy):
    """A version of one run only has the run's id in its name."""
    toy = make_toy()
    toy.run()
    job, _ = toy.run(force=True)
    assert reproduce(toy.store, job.paths).is_same


@pytest.mark.fault("N06")
def test_other_code_is_said_and_its_predictions_compared(make_toy: MakeToy):
    """When the model's file changed since, the answer names it and says how far apart they are."""
    toy = make_toy("regression")
    job, _ = toy.run()
    toy.write_model(model_file("regression", "LinearRegression(fit_intercept=False)"))
    found = reproduce(toy.store, job.paths)
    assert not found.is_same
    assert found.changed_code == ("training",)
    assert found.version_again != found.version
    assert found.rows_that_differ == found.holdout_rows
    assert found.greatest_difference > 1
    assert found.lines[-1] == "NOT reproduced"
    assert "code: differs in training" in found.lines


def test_equal_predictions_by_other_code_are_reproduced(make_toy: MakeToy):
    """What counts is what the model predicts: another name of the version is said, and no failure.

    So it is for a run that was trained in an image with another Python, or before an upgrade.
    """
    toy = make_toy("regression")
    job, _ = toy.run()
    toy.write_model(model_file("regression", "LinearRegression(fit_intercept=not False)"))
    found = reproduce(toy.store, job.paths)
    assert found.is_same
    assert found.changed_code == ("training",)
    assert found.version_again != found.version
    assert found.lines[-1] == "reproduced, by code that gives the version another name"


def test_other_classes_have_no_distance(make_toy: MakeToy):
    """Where classes are predicted otherwise, no distance between probabilities hides it."""
    toy = make_toy()
    job, _ = toy.run()
    toy.write_model(model_file("binary", "LogisticRegression(class_weight={0: 9, 1: 1})"))
    found = reproduce(toy.store, job.paths)
    assert found.greatest_difference is None
    assert "some by their class" in found.lines[-2]


def test_a_last_bit_is_a_difference_and_still_reproduced(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch
):
    """Predictions that differ by rounding count as the same, and are told."""
    toy = make_toy("regression")
    job, _ = toy.run()
    real = module.predict

    def rounded(*arguments):
        made = real(*arguments)
        made.values[0] += 1e-12
        return made

    monkeypatch.setattr(module, "predict", rounded)
    found = reproduce(toy.store, job.paths)
    assert found.is_same
    assert found.rows_that_differ == 1


@pytest.mark.fault("N06")
def test_data_that_changed_cannot_be_trained_on_again(make_toy: MakeToy):
    """A delivery that is no longer what was pinned is an error, not a difference."""
    toy = make_toy()
    job, _ = toy.run()
    toy.deliver(make_frame("binary", seed=9))
    with pytest.raises(DataChanged):
        reproduce(toy.store, job.paths)


def test_a_run_of_code_with_other_fields_names_the_commit_that_can(make_toy: MakeToy):
    """After an upgrade that took a field away, the answer is a sentence."""
    toy = make_toy()
    job, _ = toy.run()
    planned = json.loads(toy.store.read(job.paths.manifest))
    planned["config"]["compute"]["train_model"]["memory_gb"] = 8
    planned["code"]["git_sha"] = "0" * 40
    toy.store.write(job.paths.manifest, json.dumps(planned).encode())
    with pytest.raises(CodeChanged, match=r"other fields \(compute\..*memory_gb\).*commit 0{40}$"):
        reproduce(toy.store, job.paths)


def test_a_run_that_was_not_evaluated_has_nothing_to_compare(make_toy: MakeToy):
    """Without stored predictions there is no proof either way."""
    toy = make_toy()
    job = toy.plan()
    toy.train(job)
    with pytest.raises(EvidenceError, match="'evaluate' left no result"):
        reproduce(toy.store, job.paths)
