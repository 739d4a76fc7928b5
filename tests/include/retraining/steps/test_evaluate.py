from __future__ import annotations

import io
import json
from collections.abc import Callable

import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import get_scorer

from include.retraining.data.split import holdout_mask
from include.retraining.documents import sha256_of
from include.retraining.evaluation.metrics import METRICS
from include.retraining.exceptions import (
    ArtifactError,
    ConfigError,
    EvidenceError,
    RegistryError,
    StorageError,
    TrainingError,
)
from include.retraining.gate.rules import Answer, judge
from include.retraining.registry.versions import load_estimator, read_version
from include.retraining.runs.job import Job
from include.retraining.steps import evaluate as evaluation
from include.retraining.steps.evaluate import evaluate
from include.retraining.store import layout
from include.retraining.store.object_store import Store
from tests.support.toy_models import Toy, make_frame, model_file

MakeToy = Callable[..., Toy]

BLIND = model_file("binary", "LogisticRegression(C=1e-9, class_weight={0: 9, 1: 1})")
FAIR_AND_SLICED = {
    "data": {"protected": [{"name": "sex", "column": "sex", "labels": {"0": "f", "1": "m"}}]},
    "gates": {
        "metric": "roc_auc",
        "report": ["accuracy", "neg_log_loss"],
        "slices": [{"column": "region", "minimum": 0.5}],
    },
}


def stored_predictions(toy: Toy, job: Job) -> pd.DataFrame:
    """The table of predictions that the run keeps."""
    return pq.read_table(io.BytesIO(toy.store.read(job.paths.predictions))).to_pandas()


@pytest.mark.parametrize("problem", list(METRICS))
def test_challenger_and_baseline_are_scored_on_the_holdout(make_toy: MakeToy, problem: str):
    """The scores are scikit-learn's, on the rows that the split holds out."""
    toy = make_toy(problem, gates={"report": sorted(METRICS[problem])})
    frame = make_frame(problem)
    job, report = toy.run()
    mask = holdout_mask(frame, toy.config)
    rows, rest = frame[mask], frame[~mask]
    version = read_version(toy.store, toy.name, job.manifest.version)
    estimator = load_estimator(toy.store, version, ())
    naive = DummyRegressor() if problem == "regression" else DummyClassifier(strategy="prior")
    naive.fit(rest[["a", "b"]], rest["y"])
    for name in METRICS[problem]:
        for scores, model in ((report.challenger, estimator), (report.baseline, naive)):
            if problem == "multiclass" and name.startswith(("f1", "precision")) and model is naive:
                continue  # the scorer warns where a class is never predicted
            if problem == "binary" and name == "precision" and model is naive:
                continue
            expected = get_scorer(name)(model, rows[["a", "b"]], rows["y"])
            assert scores.metrics[name] == pytest.approx(expected), (name, scores.version)
    assert report.holdout.rows == len(rows)
    assert report.holdout.rows_in_training == 0
    assert report.challenger.version == job.manifest.version
    assert report.baseline.version == "baseline"
    assert report.challenger.latency_ms_per_1000_rows > 0
    assert report.challenger.model_bytes == version.model_bytes
    assert report.champion is None
    assert report.best is None
    digests = {scores.holdout_digest for scores in (report.challenger, report.baseline)}
    assert digests == {report.holdout.digest}


def test_predictions_are_kept_without_features_or_groups(make_toy: MakeToy):
    """The stored table holds key, label and predictions, and what they scored."""
    toy = make_toy(**FAIR_AND_SLICED)
    job, report = toy.run()
    table = stored_predictions(toy, job)
    assert list(table.columns) == [
        "key",
        "label",
        "challenger",
        "challenger_probability",
        "baseline",
        "baseline_probability",
    ]
    assert len(table) == report.holdout.rows
    accuracy = (table["challenger"] == table["label"]).mean()
    assert accuracy == pytest.approx(report.challenger.metrics["accuracy"])
    said_yes = table["challenger_probability"] > 0.5
    assert (said_yes == (table["challenger"] == 1)).all()


@pytest.mark.fault("F07")
def test_a_planted_perfect_champion_beats_a_mediocre_challenger(make_toy: MakeToy):
    """The champion's scores are its own, on the challenger's rows, and the gate refuses."""
    toy = make_toy()
    planted = make_frame("binary")
    planted["a"] = planted["y"] * 10.0 - 5  # gives the label away
    toy.deliver(planted)
    job, report = toy.run()
    toy.promote(job, report)
    toy.write_model(BLIND)
    _, second = toy.run()
    assert second.champion.serving.generation == 1
    assert second.champion.error is None
    assert second.champion.scores.version == job.manifest.version
    assert second.champion.scores.metrics["accuracy"] == 1.0
    assert second.challenger.metrics["accuracy"] < 0.7
    assert second.champion.scores.holdout_digest == second.holdout.digest
    assert second.champion.comparison.holdout_digest == second.holdout.digest
    assert second.champion.comparison.upper < 0
    difference = second.challenger.metrics["accuracy"] - 1.0
    assert second.champion.comparison.difference == pytest.approx(difference)
    verdict = judge(second, toy.config.gates, report_digest=second.content_digest)
    against = next(gate for gate in verdict.gates if gate.gate == "against champion")
    assert (verdict.answer, against.answer) == (Answer.FAIL, Answer.FAIL)


def test_the_champions_predictions_are_its_own(make_toy: MakeToy):
    """The stored predictions of challenger and champion come from two different models."""
    toy = make_toy()
    toy.promote(*toy.run())
    toy.write_model(BLIND)
    job, _ = toy.run()
    table = stored_predictions(toy, job)
    assert table["challenger"].unique().tolist() == [0]
    assert table["champion"].nunique() == 2
    assert (table["champion"] == table["label"]).mean() > 0.7


def test_the_best_of_the_last_champions_is_scored_as_well(make_toy: MakeToy):
    """When a better one served before the champion, the challenger meets it too."""
    toy = make_toy()
    good, good_report = toy.run()
    toy.promote(good, good_report)
    toy.write_model(BLIND)
    toy.promote(*toy.run())
    toy.write_model(model_file("binary", "LogisticRegression(C=0.5)"))
    _, report = toy.run()
    assert report.champion.serving.generation == 2
    assert report.best.serving.version == good.manifest.version
    assert report.best.scores.metrics["accuracy"] > report.champion.scores.metrics["accuracy"]
    assert report.best.comparison.lower <= 0
    assert report.champion.comparison.lower > 0


def served(make_toy: MakeToy, **changes: object) -> tuple[Toy, Job]:
    """A model with a champion, and a run whose challenger is trained but not evaluated."""
    toy = make_toy(**changes)
    job, report = toy.run()
    toy.promote(job, report)
    toy.write_model(model_file("binary", "LogisticRegression(C=0.5)"))
    nxt = toy.plan()
    toy.train(nxt)
    return toy, nxt


def champion_folder(toy: Toy, job: Job) -> str:
    """The folder of the files of the version that served when the run was planned."""
    version = job.manifest.champion.version
    return read_version(toy.store, toy.name, version).folder


def _gone(toy: Toy, job: Job) -> None:
    toy.store.delete(f"{champion_folder(toy, job)}/model.skops")


def _altered(toy: Toy, job: Job) -> None:
    toy.store.write(f"{champion_folder(toy, job)}/model.skops", b"other")


def _no_manifest(toy: Toy, job: Job) -> None:
    toy.store.delete(layout.version_manifest_key(toy.name, job.manifest.champion.version))


def _edited_manifest(toy: Toy, job: Job) -> None:
    key = layout.version_manifest_key(toy.name, job.manifest.champion.version)
    content = json.loads(toy.store.read(key))
    toy.store.write(key, json.dumps(content | {"train_rows": 1}).encode())


@pytest.mark.fault("F19")
@pytest.mark.parametrize(
    ("damage", "words", "has_split"),
    [
        (_gone, "missing", True),
        (_altered, "altered", True),
        (_no_manifest, "there is no version", False),
        (_edited_manifest, "altered", False),
    ],
)
def test_a_champion_that_cannot_be_scored_is_still_the_champion(
    make_toy: MakeToy, damage: Callable[[Toy, Job], None], words: str, has_split: bool
):
    """A missing or altered champion is reported with its error, and never left out."""
    toy, job = served(make_toy)
    damage(toy, job)
    toy.evaluate(job)
    champion = toy.report(job).champion
    assert champion.serving == job.manifest.champion
    assert words in champion.error
    assert champion.scores is None
    assert champion.comparison is None
    assert (champion.split is not None) == has_split


def test_a_champion_whose_features_are_gone_is_reported(make_toy: MakeToy):
    """A champion that reads a column the delivery no longer has cannot be scored, and says so."""
    toy = make_toy()
    toy.promote(*toy.run())
    narrow = model_file("binary").replace('("a", "b")', '("a",)').replace("    b: float\n", "")
    toy.write_model(narrow)
    toy.deliver(make_frame("binary").drop(columns="b"))
    _, report = toy.run()
    assert report.champion.error == "it reads columns that this delivery lacks: b"
    assert report.champion.scores is None
    assert report.challenger.metrics["accuracy"] > 0.7


def test_a_champion_may_read_columns_that_the_challenger_does_not(make_toy: MakeToy):
    """Columns that only the champion reads are read for it."""
    toy = make_toy()
    toy.promote(*toy.run())
    toy.write_model(model_file("binary").replace('("a", "b")', '("b",)'))
    _, report = toy.run()
    assert report.champion.error is None
    assert report.champion.comparison.upper < 0


def test_a_champion_with_types_no_longer_reviewed_is_reported(make_toy: MakeToy):
    """When a type left the reviewed list, a champion that needs it is not loaded."""
    toy = make_toy()
    toy.changes = {"training": {"trusted_types": [f"include.models.{toy.name}.double"]}}
    own = "make_pipeline(FunctionTransformer(double), LogisticRegression())"
    toy.write_model(model_file("binary", own, more="\ndef double(rows):\n    return rows * 2\n"))
    toy.promote(*toy.run())
    toy.changes = {}
    toy.write_model()
    _, report = toy.run()
    assert f"include.models.{toy.name}.double" in report.champion.error
    assert report.champion.scores is None


def test_a_champion_that_cannot_predict_is_reported(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Whatever a champion's code raises becomes its error; its words stay in the task's log."""
    toy, job = served(make_toy)
    from include.retraining.evaluation import contenders as opponents

    def load(store, manifest, trusted):
        class Broken:
            def predict(self, rows):
                raise KeyError("Jane Doe")

        return Broken()

    monkeypatch.setattr(opponents, "load_estimator", load)
    toy.evaluate(job)
    error = toy.report(job).champion.error
    assert error.startswith(
        "it cannot predict: KeyError at include/retraining/training/predictions.py line"
    )
    assert "Jane Doe" not in error
    assert "Jane Doe" in caplog.text


def test_memory_that_ran_out_says_nothing_of_a_champion(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch
):
    """The step is tried again: the champion is not called one that cannot predict."""
    toy, job = served(make_toy)
    from include.retraining.evaluation import contenders as opponents

    def predict(*_):
        raise MemoryError

    monkeypatch.setattr(opponents, "predict", predict)
    with pytest.raises(MemoryError):
        toy.evaluate(job)


@pytest.mark.fault("F08")
def test_a_store_that_refuses_is_no_verdict_on_the_champion(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch
):
    """When the store itself fails, the step fails and may be tried again."""
    toy, job = served(make_toy)
    folder = champion_folder(toy, job)
    read = Store.read

    def refuse(self, key):
        if key.startswith(folder):
            raise StorageError(f"{key}: 503")
        return read(self, key)

    monkeypatch.setattr(Store, "read", refuse)
    with pytest.raises(StorageError, match="503"):
        evaluate(job)


@pytest.mark.fault("F08")
def test_an_unreadable_log_is_never_no_champion(make_toy: MakeToy):
    """A promotion log that cannot be read stops the evaluation."""
    toy, job = served(make_toy)
    toy.store.write(layout.promotion_key(toy.name, 1), b"{")
    with pytest.raises(RegistryError):
        evaluate(job)


def test_a_champion_that_has_seen_the_holdout_is_not_scored(make_toy: MakeToy):
    """With a split by time, a champion trained on newer rows than the holdout's is refused."""
    toy = make_toy(data={"split": {"by": "time", "column": "day", "holdout_days": 10}})
    toy.promote(*toy.run())
    toy.deliver(make_frame("binary", rows=360))  # older data: its holdout was trained on
    _, report = toy.run()
    assert "it has seen what it would be scored on" in report.champion.error
    assert report.champion.scores is None
    assert report.champion.split.train_until is not None


def test_a_champion_older_than_the_holdout_is_scored(make_toy: MakeToy):
    """With a split by time, a champion from before the holdout is compared."""
    toy = make_toy(data={"split": {"by": "time", "column": "day", "holdout_days": 10}})
    toy.promote(*toy.run())
    toy.deliver(make_frame("binary", rows=480))
    _, report = toy.run()
    assert report.champion.error is None
    assert report.champion.scores.metrics["accuracy"] > 0.5


def test_another_split_is_in_the_report(make_toy: MakeToy):
    """The champion's own split is reported, so that the gate can refuse to compare."""
    toy = make_toy()
    toy.promote(*toy.run())
    split = {"by": "key", "holdout_fraction": 0.3, "salt": "another"}
    toy.changes = {"data": {"split": split}}
    _, report = toy.run()
    assert report.split.salt == "another"
    assert report.champion.split.salt == "toy"


def test_slices_and_groups_are_scored(make_toy: MakeToy):
    """Each value of a slice column has its score, each group its rates."""
    toy = make_toy(**FAIR_AND_SLICED)
    toy.promote(*toy.run())
    toy.write_model(model_file("binary", "LogisticRegression(C=0.5)"))
    _, report = toy.run()
    assert [(item.column, item.value) for item in report.slices] == [
        ("region", "north"),
        ("region", "south"),
    ]
    assert sum(item.rows for item in report.slices) == report.holdout.rows
    assert all(item.is_judged for item in report.slices)
    assert all(item.challenger > 0.7 and item.champion > 0.7 for item in report.slices)
    (audit,) = report.fairness
    assert audit.attribute == "sex"
    assert {group.group for group in audit.groups} == {"f", "m"}
    assert 0 < audit.disparate_impact <= 1


def test_a_slice_column_of_many_values_is_refused(make_toy: MakeToy):
    """A column of numbers makes no slices."""
    toy = make_toy(gates={"slices": [{"column": "a", "minimum": 0.5}]})
    with pytest.raises(ConfigError, match=r"'a' has 1\d\d different values"):
        toy.run()


def test_regression_has_no_groups_and_finite_scores(make_toy: MakeToy):
    """A regression with a protected attribute is scored; selection rates do not apply."""
    toy = make_toy("regression", data={"protected": [{"name": "sex", "column": "sex"}]})
    _, report = toy.run()
    assert report.fairness == ()
    assert report.challenger.metrics["r2"] > 0.5
    assert report.baseline.metrics["r2"] < 0.1


@pytest.mark.fault("F01")
def test_a_challenger_whose_predictions_are_no_numbers_is_not_scored(make_toy: MakeToy):
    """NaN for rows of the holdout, and for none of the training part, ends the evaluation."""
    toy = make_toy("regression")
    trusted = f"include.models.{toy.name}.Lost"
    toy.changes = {"training": {"trusted_types": [trusted]}}
    lost = """
    class Lost(LinearRegression):
        def predict(self, rows):
            values = super().predict(rows)
            return values if len(rows) > 200 else np.where(rows["a"] > 1, np.nan, values)
    """
    toy.write_model(model_file("regression", "Lost()", more=lost))
    with pytest.raises(TrainingError, match=r"the predictions of \d+ of 125 rows are no finite"):
        toy.run()


def test_a_challenger_that_cannot_predict_names_the_place(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch
):
    """An error while predicting the holdout is the model's own."""
    toy = make_toy()
    job = toy.plan()
    toy.train(job)

    def fail(*_: object) -> None:
        raise ValueError("no such\ncolumn")

    monkeypatch.setattr(evaluation, "predict", fail)
    with pytest.raises(TrainingError, match=r"predicting the holdout failed: ValueError; its text"):
        evaluate(job)


def test_nothing_is_scored_without_evidence_of_the_training(make_toy: MakeToy):
    """A version that is there, without the run's own result, is not evaluated."""
    toy = make_toy()
    with pytest.raises(EvidenceError, match="'train' left no result"):
        evaluate(toy.plan())


def test_a_challenger_altered_since_its_training_is_refused(make_toy: MakeToy):
    """The version that is scored is byte for byte the one that was trained."""
    toy = make_toy()
    job = toy.plan()
    result = toy.train(job)
    version = read_version(toy.store, toy.name, result.version)
    toy.store.write(f"{version.folder}/model.skops", b"other")
    with pytest.raises(ArtifactError, match="altered"):
        evaluate(job)


def test_a_version_of_other_provenance_is_refused(make_toy: MakeToy):
    """A version made from other data than the plan's is not scored, even if the evidence agrees."""
    toy = make_toy()
    job = toy.plan()
    result = toy.train(job)
    key = layout.version_manifest_key(toy.name, result.version)
    forged = json.loads(toy.store.read(key)) | {"seed": 8}
    data = json.dumps(forged).encode()
    output = result.manifest.model_copy(update={"size": len(data), "sha256": sha256_of(data)})
    toy.store.write(key, data)
    agreeing = result.model_copy(update={"manifest": output})
    toy.store.write(job.paths.result("train"), agreeing.to_bytes())
    with pytest.raises(ArtifactError, match="the seed it was trained with differ"):
        evaluate(job)


def test_another_attempts_result_is_not_disturbed(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch
):
    """A late attempt adopts the finished one and leaves the files that its result names."""
    toy = make_toy()
    job = toy.plan()
    toy.train(job)
    table, done = evaluation.predictions_table, []

    def slow(*arguments):
        if not done:
            done.append("rival")
            done.append(toy.evaluate(job))
        return table(*arguments)

    monkeypatch.setattr(evaluation, "predictions_table", slow)
    assert evaluate(job) == done[1]
    assert toy.report(job).content_digest == done[1].report.sha256


def test_an_evaluation_repeats_itself(make_toy: MakeToy):
    """The same plan scores the same, down to the interval; only times differ."""
    toy, job = served(make_toy, gates={"metric": "roc_auc"})
    toy.evaluate(job)
    first = toy.report(job)
    toy.store.delete(job.paths.result("evaluate"))
    toy.evaluate(job)
    second = toy.report(job)
    assert first.champion.comparison == second.champion.comparison
    assert first.holdout == second.holdout
    assert first.challenger.metrics == second.challenger.metrics
