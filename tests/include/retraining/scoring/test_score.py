"""The step `score`: whole partitions, by the champion, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.retraining.documents import sha256_of
from include.retraining.exceptions import DataChanged, EvidenceError, TrainingElsewhere
from include.retraining.runs.results import write_result
from include.retraining.scoring import score as scoring_step
from include.retraining.scoring.claims import ScoringClaims
from include.retraining.scoring.result import find_score_result
from include.retraining.scoring.score import score
from include.retraining.scoring.scores import input_digest
from include.retraining.serving.version import load_version
from include.retraining.store.object_store import Store
from tests.support.scored_toys import ScoringToy, day, make_scoring_toy, rows_to_score
from tests.support.toy_models import Toy, model_file

MakeToy = Callable[..., Toy]

CATEGORIES = """
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder
"""
ENCODED = (
    "make_pipeline(make_column_transformer((OneHotEncoder(handle_unknown='{how}'), ['region']), "
    "('passthrough', ['a'])), LinearRegression())"
)


def with_categories(toy: Toy, how: str) -> None:
    """Let a toy read the column `region` by a one-hot encoder."""
    text = model_file("regression", ENCODED.format(how=how), more=CATEGORIES)
    text = text.replace('FEATURES = ("a", "b")', 'FEATURES = ("a", "region")')
    toy.write_model(text.replace("    b: float\n", "    b: float\n    region: str\n"))


def test_a_partition_has_key_carried_columns_and_the_champions_predictions(
    make_toy: MakeToy, store: Store
):
    """Each row of the input has its key, what is carried and what the champion predicts for it."""
    toy = make_scoring_toy(make_toy, store=store, scoring={"carry": ["region"]})
    version = toy.promote(1)
    rows = rows_to_score()
    toy.land(0, rows)
    result = toy.run()
    assert result is not None
    assert (result.partitions[0].name, result.partitions[0].rows) == (str(day(0)), 60)
    table = toy.table(0)
    assert list(table) == ["id", "region", "prediction", "model_version"]
    assert list(table["id"]) == list(rows["id"])
    expected = load_version(store, toy.toy.name, version, trusted=()).predict(rows)
    np.testing.assert_allclose(table["prediction"], expected["prediction"])
    scores = toy.folder(0).newest()
    assert scores is not None
    assert (scores.number, scores.version, scores.generation) == (1, version, 1)
    read = store.read(f"landing/new/{day(0)}/rows.parquet")
    assert [file.sha256 for file in scores.input.files] == [sha256_of(read)]


def test_a_classifiers_scores_have_its_probabilities(make_toy: MakeToy):
    """The scores of a classifier hold a probability for each of its classes."""
    toy = make_scoring_toy(make_toy, "binary")
    toy.promote(1)
    toy.land(0, rows_to_score())
    toy.run()
    table = toy.table(0)
    np.testing.assert_allclose(table["probability_0"] + table["probability_1"], 1.0)


def test_the_same_input_is_scored_once_by_the_same_version(make_toy: MakeToy):
    """A run after the scores are there plans nothing, and one that is asked for adopts them."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    toy.land(0, rows_to_score())
    job = toy.plan()
    assert job is not None
    toy.finish(job)
    before = [info.key for info in toy.store.objects("scores")]
    assert toy.run() is None
    again = score(job)
    assert [one.was_there for one in again.partitions] == [True]
    assert [info.key for info in toy.store.objects("scores")] == before


def test_an_input_that_is_delivered_again_is_scored_again(make_toy: MakeToy):
    """Other files of a day are scored anew."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    toy.land(0, rows_to_score())
    toy.run()
    toy.land(0, rows_to_score(rows=30))
    toy.run()
    assert len(toy.table(0)) == 30
    assert toy.folder(0).numbers() == [1, 2]


@pytest.mark.fault("S05")
def test_a_rollback_is_followed(make_toy: MakeToy):
    """After a rollback the next partition has the old version's scores."""
    toy = make_scoring_toy(make_toy)
    first = toy.promote(1)
    second = toy.promote(2)
    toy.land(1, rows_to_score(1))
    toy.run()
    assert toy.versions(1) == [second]
    toy.roll_back(first)
    toy.land(0, rows_to_score(2))
    toy.run()
    assert toy.versions(0, 1) == [first, second]


@pytest.mark.fault("S05")
def test_rescoring_redoes_what_the_rolled_back_version_scored(make_toy: MakeToy):
    """Of the last days the partitions of the rolled-back version are redone, of no other."""
    toy = make_scoring_toy(make_toy)
    first = toy.promote(1)
    toy.land(4, rows_to_score(4))
    toy.run()
    second = toy.promote(2)
    for back in (3, 2, 1):
        toy.land(back, rows_to_score(back))
        toy.run()
    toy.roll_back(first)
    assert toy.versions(1, 2, 3, 4) == [second, second, second, first]
    result = toy.run(rescore_days=3)
    assert result is not None
    assert [one.name for one in result.partitions] == [str(day(1)), str(day(2))]
    assert toy.versions(1, 2, 3, 4) == [first, first, second, first]


def test_a_version_that_serves_again_takes_up_its_earlier_scores(make_toy: MakeToy):
    """What a version has scored before it was replaced is named again and not computed again."""
    toy = make_scoring_toy(make_toy)
    first = toy.promote(1)
    toy.land(0, rows_to_score())
    toy.run()
    toy.promote(2)
    toy.run()
    toy.roll_back(first)
    files = len(toy.store.objects(f"scores/{day(0)}/data"))
    result = toy.run()
    assert result is not None
    assert result.partitions[0].was_there
    newest = toy.folder(0).newest()
    assert newest is not None
    assert (newest.number, newest.version, newest.generation) == (3, first, 3)
    assert len(toy.store.objects(f"scores/{day(0)}/data")) == files


@pytest.mark.fault("S06")
def test_a_champion_that_changes_while_the_job_scores_is_followed(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch
):
    """Scores of a version that was replaced before they were named are never named."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    toy.land(0, rows_to_score())
    job = toy.plan()
    assert job is not None
    write, changes = scoring_step.write_table, [2]

    def promoting(*arguments: Any, **keywords: Any) -> Any:
        table = write(*arguments, **keywords)
        while changes:
            toy.promote(changes.pop())
        return table

    monkeypatch.setattr(scoring_step, "write_table", promoting)
    result = toy.finish(job)
    champion = toy.log.champion()
    assert champion is not None
    assert champion.generation == 2
    assert toy.versions(0) == [champion.version] == [result.partitions[0].version]
    assert toy.folder(0).numbers() == [1]


@pytest.mark.fault("S04")
def test_an_input_that_breaks_the_contract_is_refused_and_the_others_are_scored(make_toy: MakeToy):
    """A refusal names column, rule, number of rows and keys, and holds until the next delivery."""
    toy = make_scoring_toy(make_toy)
    version = toy.promote(1)
    good, bad = rows_to_score(1), rows_to_score(2)
    bad.loc[[3, 5], "a"] = np.inf
    toy.land(1, good)
    toy.land(0, bad)
    result = toy.run()
    assert result is not None
    (refused,) = result.refused
    assert refused.name == str(day(0))
    assert "a: must be finite: 2 rows, for example key 11003, 11005" in refused.why
    assert toy.versions(0, 1) == [None, version]
    assert toy.run() is None
    toy.land(0, good)
    toy.run()
    assert toy.versions(0) == [version]


@pytest.mark.fault("S04")
def test_a_csv_input_is_refused_by_file_line_and_column(make_toy: MakeToy):
    """A cell that is no number is refused by file, line and column, and its value is not shown."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    rows = rows_to_score().astype({"b": object})
    rows.loc[7, "b"] = "secret"
    toy.land(0, rows, as_csv=True)
    result = toy.run()
    assert result is not None
    (refused,) = result.refused
    assert "rows.csv" in refused.why
    assert "b" in refused.why
    assert "9" in refused.why
    assert "secret" not in refused.why


def test_a_missing_feature_and_a_doubled_key_are_refused(make_toy: MakeToy):
    """Both are named at once, as for a delivery."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    doubled = rows_to_score()
    doubled.loc[1, "id"] = doubled.loc[0, "id"]
    toy.land(0, doubled)
    result = toy.run()
    assert result is not None
    assert "id: must be unique: 1 row" in result.refused[0].why
    toy.land(0, rows_to_score().drop(columns="b"))
    result = toy.run()
    assert result is not None
    assert "b" in result.refused[0].why


def test_values_that_the_version_does_not_know_are_counted(make_toy: MakeToy):
    """Rows with a category that was not in the training are scored and counted by column."""
    toy = make_scoring_toy(make_toy)
    with_categories(toy.toy, "ignore")
    toy.promote(1)
    rows = rows_to_score()
    rows.loc[:4, "region"] = "east"
    toy.land(0, rows)
    result = toy.run()
    assert result is not None
    assert result.partitions[0].unknown == {"region": 5}
    assert len(toy.table(0)) == 60


def test_a_model_that_cannot_answer_for_unknown_values_says_how_many(make_toy: MakeToy):
    """The error of a model that refuses unknown categories names the column and the rows."""
    toy = make_scoring_toy(make_toy)
    with_categories(toy.toy, "error")
    toy.promote(1)
    toy.land(0, rows_to_score(region="east"))
    with pytest.raises(Exception, match="it was not trained on: 60 in 'region'"):
        toy.run()


def test_an_input_that_changed_since_it_was_pinned_is_not_scored(make_toy: MakeToy):
    """A file that was overwritten behind the plan ends the job, and nothing is left."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    toy.land(0, rows_to_score())
    job = toy.plan()
    assert job is not None
    other = rows_to_score(3).to_parquet(index=False)
    toy.store.write(f"landing/new/{day(0)}/rows.parquet", other)
    with pytest.raises(DataChanged, match=r"rows\.parquet"):
        score(job)
    assert toy.versions(0) == [None]


@pytest.mark.fault("S03")
def test_two_runs_do_not_score_the_same_input_by_the_same_version_at_once(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch
):
    """The second of two waits while the first one's claim beats."""
    toy = make_scoring_toy(make_toy)
    version = toy.promote(1)
    toy.land(0, rows_to_score())
    job = toy.plan()
    assert job is not None
    planned = job.manifest.partitions[0]
    mine = ScoringClaims(
        toy.store,
        toy.toy.name,
        version,
        beat_seconds=0.05,
        partition=planned.name,
        input_digest=input_digest(planned.input),
    )
    quick = {"beat_seconds": 0.2}
    monkeypatch.setattr(
        scoring_step, "ScoringClaims", lambda *a, **k: ScoringClaims(*a, **{**k, **quick})
    )
    with (
        mine.hold(run_id="other", plan="other", attempt="1"),
        pytest.raises(TrainingElsewhere, match=f"run other scores {day(0)}"),
    ):
        score(job)
    assert [one.was_there for one in score(job).partitions] == [False]


def test_a_result_whose_manifest_was_altered_is_no_evidence(make_toy: MakeToy):
    """The step's result counts as long as the manifests that it names are what it says."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    toy.land(0, rows_to_score())
    job = toy.plan()
    assert job is not None
    write_result(job.store, job.paths, job.manifest, score(job))
    assert find_score_result(job.store, job.paths, job.manifest) is not None
    key = toy.folder(0).manifest_key(1)
    toy.store.write(key, toy.store.read(key).replace(b'"rows": 60', b'"rows": 61'))
    with pytest.raises(EvidenceError, match="altered"):
        find_score_result(job.store, job.paths, job.manifest)


def test_a_key_of_its_own_need_not_be_in_the_contract(make_toy: MakeToy):
    """Rows may be named by another column than the deliveries', which then must be unique."""
    toy = make_scoring_toy(make_toy, scoring={"key": "number"})
    toy.promote(1)
    rows = rows_to_score().drop(columns="id").assign(number=[f"n{at}" for at in range(60)])
    toy.land(0, rows)
    toy.run()
    assert list(toy.table(0)["number"]) == list(rows["number"])
    assert isinstance(toy.table(0), pd.DataFrame)


def scored_days(toy: ScoringToy, **asked: Any) -> list[str]:
    """The partitions that a run scores."""
    result = toy.run(**asked)
    return [] if result is None else [one.name for one in result.partitions]


def test_days_without_scores_are_taken_up_and_older_ones_are_not(make_toy: MakeToy):
    """A run scores the newest partition, and those of some days before that have no scores."""
    toy = make_scoring_toy(make_toy, scoring={"look_back_days": 2})
    toy.promote(1)
    for back in (1, 2, 3):
        toy.land(back, rows_to_score(back))
    assert scored_days(toy) == [str(day(1)), str(day(2))]
    assert scored_days(toy) == []
    assert scored_days(toy, only=day(3)) == [str(day(3))]


def test_a_new_champion_scores_the_newest_partition(make_toy: MakeToy):
    """After a promotion the newest partition is scored again, and the ones before stay."""
    toy = make_scoring_toy(make_toy)
    first = toy.promote(1)
    toy.land(1, rows_to_score(1))
    toy.land(0, rows_to_score(2))
    toy.run()
    second = toy.promote(2)
    assert scored_days(toy) == [str(day(0))]
    assert toy.versions(0, 1) == [second, first]
