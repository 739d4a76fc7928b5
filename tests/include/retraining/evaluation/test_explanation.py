"""What an evaluation says of its columns, in the step that makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from include.retraining.evaluation import explanation
from include.retraining.gate.importance import Importances
from include.retraining.runs.job import Job
from tests.support.toy_commands import make_external
from tests.support.toy_models import Toy, make_frame, model_file

MakeToy = Callable[..., Toy]
PROBLEMS = {"binary": "roc_auc", "multiclass": "neg_log_loss", "regression": "r2"}
ROWS = 1_000


def explained(toy: Toy, job: Job | None = None) -> Importances:
    """Evaluate a run that began a minute ago, and return what it says of the columns."""
    job = job or trained(toy)
    toy.evaluate(replace(job, started=job.started - 60))
    key = job.paths.importances
    stored = Importances.from_bytes(toy.store.read(key), where=key)
    assert stored.report_digest == toy.report(job).content_digest
    assert stored.seconds <= 0.1 * stored.evaluation_seconds
    return stored


def trained(toy: Toy) -> Job:
    """Return the next run, up to its training."""
    job = toy.plan()
    toy.train(job)
    return job


@pytest.mark.parametrize("problem", list(PROBLEMS))
def test_the_column_that_matters_is_found(make_toy: MakeToy, problem: str):
    """The label follows `a`: its loss is beyond its interval, and first; that of `b` is not."""
    toy = make_toy(problem, gates={"metric": PROBLEMS[problem]})
    toy.deliver(make_frame(problem, ROWS))
    job = trained(toy)
    stored = explained(toy, job)
    first, second = stored.columns
    assert (first.column, second.column) == ("a", "b")
    assert first.challenger.lower > 0.1
    assert second.challenger.lower < 0.05
    assert (first.champion, first.change, stored.champion_not_measured) == (None, None, None)
    assert stored.metric == PROBLEMS[problem]
    assert (stored.rows, stored.repeats, stored.columns_read) == (
        toy.report(job).holdout.rows,
        5,
        2,
    )


BLIND_TO_A = """
class Deaf(ClassifierMixin, BaseEstimator):
    def fit(self, rows, labels):
        self.inner_ = LogisticRegression().fit(rows[["b"]], labels)
        self.classes_ = self.inner_.classes_
        return self

    def predict(self, rows):
        return self.inner_.predict(rows[["b"]])
"""


def test_what_changed_against_the_champion_is_measured(make_toy: MakeToy):
    """A challenger that ignores a column relies less on it than the champion, on the same rows."""
    toy = make_toy()
    toy.deliver(make_frame("binary", ROWS))
    toy.promote(*toy.run())
    toy.changes["training"] = {"trusted_types": [f"include.models.{toy.name}.Deaf"]}
    toy.write_model(model_file("binary", "Deaf()", more=BLIND_TO_A))
    stored = explained(toy)
    of_a = next(one for one in stored.columns if one.column == "a")
    assert of_a.challenger.value == 0
    assert of_a.champion.lower > 0.1
    assert of_a.change.upper < -0.1
    assert of_a.change.value == pytest.approx(-of_a.champion.value)


def test_a_model_in_another_language_says_why_there_are_none(make_toy: MakeToy):
    """Its command would have to answer for each column again."""
    toy = make_toy()
    make_external(toy)
    stored = explained(toy)
    assert stored.columns == ()
    assert "it predicts by a command" in stored.not_measured


def test_an_explanation_that_fails_is_no_failed_evaluation(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch
):
    """The report is there, and the document says what kind of an error it was."""

    def broken(**_: object) -> None:
        raise ZeroDivisionError("the cell 4711")

    monkeypatch.setattr(explanation, "Scoring", broken)
    stored = explained(make_toy())
    assert "4711" not in stored.not_measured
    assert "measuring failed: ZeroDivisionError" in stored.not_measured
