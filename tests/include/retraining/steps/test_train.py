from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from include.retraining.data.split import holdout_mask
from include.retraining.exceptions import (
    ArtifactError,
    DataChanged,
    EvidenceError,
    StorageError,
    TrainingError,
)
from include.retraining.registry.versions import load_estimator, read_version, verify_version
from include.retraining.steps import train as train_step
from include.retraining.steps.train import train
from include.retraining.store.object_store import Store
from include.retraining.training import fitting as training
from include.retraining.training.predictions import predict
from tests.support.toy_models import Toy, make_frame, model_file

MakeToy = Callable[..., Toy]


def left_behind(toy: Toy) -> list[str]:
    """What lies where versions lie, but for who claimed to train."""
    objects = toy.store.objects(f"models/{toy.name}/versions")
    return [info.key for info in objects if "/claim-" not in info.key]


def test_a_training_leaves_a_version_with_its_provenance(make_toy: MakeToy):
    """The version's manifest says what it was made from, what it cost, and its file's digest."""
    toy = make_toy()
    job = toy.plan()
    result = toy.train(job)
    version = read_version(toy.store, toy.name, result.version, digest=result.manifest.sha256)
    verify_version(toy.store, version)
    assert not result.adopted
    assert version.fingerprint == job.manifest.fingerprint
    assert version.data == job.manifest.delivery.files
    assert version.code == job.manifest.code
    assert version.seed == 7
    assert version.features == ("a", "b")
    assert version.classes == (0, 1)
    assert version.data_date == "2026-11-24"
    assert version.split.salt == "toy"
    assert version.train_seconds > 0
    assert version.peak_memory_bytes > 10**7
    assert version.model_bytes == version.files[0].size
    assert {library.name for library in version.libraries} >= {"scikit-learn", "skops", "numpy"}


@pytest.mark.parametrize("as_csv", [True, False])
def test_only_training_rows_and_features_reach_the_estimator(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch, as_csv: bool
):
    """The estimator sees the features in order, without one row of the holdout."""
    toy = make_toy()
    frame = make_frame("binary")
    toy.deliver(frame, as_csv=as_csv)
    seen = {}
    fit = LogisticRegression.fit

    def spy(self, rows, labels):
        seen["columns"], seen["a"], seen["y"] = list(rows.columns), rows["a"].to_numpy(), labels
        return fit(self, rows, labels)

    monkeypatch.setattr(LogisticRegression, "fit", spy)
    toy.train(toy.plan())
    kept = frame[~holdout_mask(frame, toy.config)]
    assert seen["columns"] == ["a", "b"]
    assert seen["a"].tolist() == kept["a"].tolist()
    assert seen["y"].tolist() == kept["y"].tolist()
    assert 0 < len(kept) < len(frame)


def test_columns_that_nobody_needs_are_not_read(make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch):
    """Training asks for key, label and features only, so nothing else can leak into a model."""
    toy = make_toy()
    job = toy.plan()
    open_dataset, asked = training.open_dataset, []

    def spy(store, delivery, reading, columns=None):
        asked.extend(columns)
        return open_dataset(store, delivery, reading, columns)

    monkeypatch.setattr(training, "open_dataset", spy)
    toy.train(job)
    assert asked == ["id", "y", "a", "b"]


def test_the_same_inputs_give_the_same_predictions(make_toy: MakeToy):
    """Two trainings of one plan predict the same, and another seed does not."""
    toy = make_toy(training={"seed": 3})
    estimator = 'SGDClassifier(loss="log_loss", random_state=seed)'
    toy.write_model(model_file("binary", estimator))
    rows = make_frame("binary", seed=9)[["a", "b"]]
    chances = []
    for seed in (3, 3, 4):
        toy.changes = {"training": {"seed": seed}}
        job = toy.plan(force=True)
        result = toy.train(job)
        version = read_version(toy.store, toy.name, result.version)
        chances.append(
            predict(load_estimator(toy.store, version, ()), rows, "binary").probabilities
        )
    assert np.array_equal(chances[0], chances[1])
    assert not np.array_equal(chances[0], chances[2])


def test_an_estimator_that_uses_the_global_generator_is_repeatable(make_toy: MakeToy):
    """A model that ignores its seed still repeats itself."""
    toy = make_toy()
    toy.write_model(model_file("binary", "SGDClassifier(loss='log_loss')"))
    rows = make_frame("binary", seed=9)[["a", "b"]]
    first, second = (
        predict(training.fit(job.store, job.manifest, job.config).estimator, rows, "binary")
        for job in [toy.plan()] * 2
    )
    assert np.array_equal(first.probabilities, second.probabilities)


def test_a_version_that_is_there_is_adopted(make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch):
    """A second run with the same fingerprint trains nothing."""
    toy = make_toy()
    first = toy.train(toy.plan())

    def never(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(train_step, "fit", never)
    second = toy.train(toy.plan())
    assert second.adopted
    assert second.version == first.version
    assert second.manifest == first.manifest


def test_who_comes_second_adopts_the_first(make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch):
    """Two attempts of one run at once leave one version: the first that put its manifest."""
    toy = make_toy()
    job = toy.plan()
    rival = replace(job, attempt="try-2")  # an orphan's successor
    save, done = train_step.save, []

    def slow(*arguments):
        if not done:
            done.append("rival")
            done.append(train(rival))
        return save(*arguments)

    monkeypatch.setattr(train_step, "save", slow)
    result = toy.train(job)
    assert result.adopted
    assert result.manifest == done[1].manifest
    assert read_version(toy.store, toy.name, result.version).attempt == rival.attempt
    assert result.differs_by is None


def test_a_training_that_is_not_deterministic_says_so(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Who comes second and predicts otherwise adopts the first, with a warning and the distance."""
    toy = make_toy()
    job = toy.plan()
    fit, done = training.fit, []

    def other_each_time(*arguments):
        fitted = fit(*arguments)
        if done:
            fitted.estimator.intercept_ += 1.0
            answers = predict(fitted.estimator, fitted.probe, "binary")
            fitted = replace(fitted, answers=answers)
        else:
            done.append("rival")
            train(replace(job, attempt="try-2"))
        return fitted

    monkeypatch.setattr(train_step, "fit", other_each_time)
    result = toy.train(job)
    assert result.adopted
    assert result.differs_by > 0.01
    assert "this training is not deterministic" in caplog.text


def test_a_saved_model_is_held_to_its_numbers_size(make_toy: MakeToy):
    """Threads of a forest add large numbers in any order: that is no other model."""
    toy = make_toy("regression")
    toy.write_model(
        model_file("regression", "RandomForestRegressor(60, n_jobs=2, random_state=seed)").replace(
            "import numpy as np",
            "from sklearn.ensemble import RandomForestRegressor\nimport numpy as np",
        )
    )
    toy.changes["training"] = {
        "seed": 7,
        "trusted_types": ["numpy.dtype", "sklearn.tree._tree.Tree"],
    }
    frame = make_frame("regression")
    toy.deliver(frame.assign(y=frame["y"] * 1e9))
    assert not toy.train(toy.plan()).adopted


def test_a_damaged_version_is_not_adopted(make_toy: MakeToy):
    """A version whose file was altered stops the run: it is neither used nor overwritten."""
    toy = make_toy()
    result = toy.train(toy.plan())
    version = read_version(toy.store, toy.name, result.version)
    toy.store.write(f"{version.folder}/model.skops", b"other bytes")
    with pytest.raises(ArtifactError, match=r"model\.skops: altered"):
        toy.train(toy.plan())


def test_nothing_is_trained_on_data_that_nobody_validated(make_toy: MakeToy):
    """A plan without the evidence of its validation is not trained."""
    toy = make_toy()
    job = toy.plan()
    toy.store.delete(job.paths.result("validate"))
    with pytest.raises(EvidenceError, match="'validate' left no result"):
        train(job)


@pytest.mark.fault("A05")
def test_data_that_changed_after_the_plan_is_not_trained_on(make_toy: MakeToy):
    """A file other than the pinned one stops the training."""
    toy = make_toy()
    job = toy.plan()
    toy.deliver(make_frame("binary", seed=5))
    with pytest.raises(DataChanged):
        train(job)


FAILING = [
    pytest.param(
        model_file("binary", "1 / 0"),
        r"line LINE, in build_estimator: build_estimator\(7\) failed: ZeroDivisionError",
        id="entry point raises",
    ),
    pytest.param(
        model_file("binary", "exit(3)"), r"line LINE, in build_estimator: .*SystemExit", id="exits"
    ),
    pytest.param(
        model_file("binary", "None"),
        r"build_estimator\(\) returned NoneType, must return an estimator",
        id="nothing returned",
    ),
    pytest.param(
        model_file("binary", "FunctionTransformer()"),
        r"returned FunctionTransformer, must return an estimator with fit\(\) and predict\(\)",
        id="no predict",
    ),
    pytest.param(
        model_file("binary", "make_pipeline(FunctionTransformer())"),
        r"returned Pipeline, which has no predict\(\) after fit\(\)",
        id="no predict after fit",
    ),
    pytest.param(
        model_file(
            "binary",
            "Mine()",
            more="""
class Mine(LogisticRegression):
    def fit(self, rows, labels):
        raise RuntimeError("two\\nlines: Jane Doe")
""",
        ),
        r"line LINE, in fit: fit\(\) of what .* returned failed: RuntimeError; its text is in",
        id="own fit raises",
    ),
    pytest.param(
        model_file("binary", "LogisticRegression(C=-1)"),
        r": fit\(\) of what build_estimator\(\) returned failed: InvalidParameterError",
        id="library raises",
    ),
]


@pytest.mark.parametrize(("text", "message"), FAILING)
def test_an_error_in_a_models_code_names_its_place(make_toy: MakeToy, text: str, message: str):
    """Whatever a model's own code raises becomes one line with file, line and function."""
    toy = make_toy()
    toy.write_model(text)
    lines = text.splitlines()
    guilty = [
        number for number, line in enumerate(lines, 1) if "raise " in line or "return " in line
    ]
    message = message.replace("LINE", str(guilty[0]))
    with pytest.raises(TrainingError, match=rf"include/models/{toy.name}\.py.*{message}") as error:
        train(toy.plan())
    assert "\n" not in str(error.value)
    assert "Jane Doe" not in str(error.value)
    assert error.value.is_permanent


OWN_TYPE = model_file(
    "binary",
    "make_pipeline(FunctionTransformer(double), LogisticRegression())",
    more="""
def double(rows):
    return rows * 2
""",
)


@pytest.mark.fault("M02")
def test_a_type_nobody_reviewed_is_refused_when_it_is_saved(make_toy: MakeToy):
    """A model that could not be loaded again is refused at once, naming its types."""
    toy = make_toy()
    toy.write_model(OWN_TYPE)
    job = toy.plan()
    with pytest.raises(ArtifactError, match=rf"include\.models\.{toy.name}\.double") as error:
        train(job)
    assert "training.trusted_types, and clear the run from plan_run on" in str(error.value)
    assert not left_behind(toy)


def test_a_reviewed_type_is_saved(make_toy: MakeToy):
    """A type that the model's configuration lists may be saved and loaded."""
    toy = make_toy()
    toy.write_model(OWN_TYPE)
    toy.changes = {"training": {"trusted_types": [f"include.models.{toy.name}.double"]}}
    result = toy.train(toy.plan())
    version = read_version(toy.store, toy.name, result.version)
    assert version.trusted_types == (f"include.models.{toy.name}.double",)
    assert load_estimator(toy.store, version, version.trusted_types) is not None


@pytest.mark.parametrize(
    ("problem", "kind"), [("binary", "Classifier"), ("regression", "Regressor")]
)
def test_a_stack_of_estimators_is_one(make_toy: MakeToy, problem: str, kind: str):
    """It has `predict` only once it is fitted, and is saved without a list of types."""
    toy = make_toy(problem)
    base = "LogisticRegression()" if problem == "binary" else "LinearRegression()"
    stack = f"Stacking{kind}([('one', {base})], cv=2)"
    importing = f"\nfrom sklearn.ensemble import Stacking{kind}\n"
    toy.write_model(model_file(problem, f"make_pipeline({stack})", more=importing))
    result = toy.train(toy.plan())
    version = read_version(toy.store, toy.name, result.version)
    assert version.trusted_types == ()
    assert load_estimator(toy.store, version, ()) is not None


def test_what_skops_cannot_save_is_refused(make_toy: MakeToy):
    """A lambda cannot be saved, and pickle is no way out."""
    toy = make_toy()
    pipeline = "make_pipeline(FunctionTransformer(lambda rows: rows), LogisticRegression())"
    toy.write_model(model_file("binary", pipeline))
    with pytest.raises(ArtifactError):
        train(toy.plan())
    assert not left_behind(toy)


@pytest.mark.fault("G07")
@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"\0" + data[1:]])
def test_an_upload_that_arrives_altered_leaves_no_version(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes]
):
    """What is read back must be what was sent, or there is no manifest and another try is made."""
    toy = make_toy()
    job = toy.plan()
    upload = Store.upload

    def altered(self, source, key):
        upload(self, source, key)
        self.write(key, damage(self.read(key)))

    monkeypatch.setattr(Store, "upload", altered)
    with pytest.raises(StorageError, match="arrived altered") as error:
        train(job)
    assert not error.value.is_permanent
    assert not toy.store.exists(f"models/{toy.name}/versions/{job.manifest.version}/manifest.json")
    monkeypatch.undo()


def test_a_saved_model_that_predicts_otherwise_is_refused(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch
):
    """The model that is loaded back must predict what the trained one predicts."""
    toy = make_toy()
    job = toy.plan()
    save = train_step.save

    def other(estimator, path, trusted):
        estimator.coef_ = -estimator.coef_
        save(estimator, path, trusted)
        estimator.coef_ = -estimator.coef_

    monkeypatch.setattr(train_step, "save", other)
    with pytest.raises(ArtifactError, match="predicts otherwise"):
        train(job)


def test_training_works_on_any_store(make_toy: MakeToy, any_store: Store):
    """A version is published and verified on a folder and on S3 alike."""
    toy = make_toy(store=any_store)
    job, report = toy.run()
    version = read_version(toy.store, toy.name, job.manifest.version)
    verify_version(toy.store, version)
    assert report.challenger.metrics["accuracy"] > 0.7


def test_a_split_by_time_trains_on_the_older_rows(make_toy: MakeToy):
    """With a split by time, the manifest says up to when the model has seen rows."""
    toy = make_toy(data={"split": {"by": "time", "column": "day", "holdout_days": 20}})
    result = toy.train(toy.plan())
    version = read_version(toy.store, toy.name, result.version)
    assert version.split.train_until.date() == date(2026, 3, 21)
    assert version.train_rows == 320


def test_a_label_the_estimator_does_not_know_is_an_error(make_toy: MakeToy):
    """An estimator that changes the classes on its own is refused."""
    toy = make_toy()
    changed = model_file(
        "binary",
        "Mine()",
        more="""
class Mine(LogisticRegression):
    def fit(self, rows, labels):
        return super().fit(rows, labels + 5)
""",
    )
    toy.write_model(changed)
    with pytest.raises(TrainingError, match="does not know the label's classes"):
        train(toy.plan())
